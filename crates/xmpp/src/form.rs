//! Forms that a server asks and a person fills in (XEP-0004, with FORM_TYPE by XEP-0068).

use crate::ns;
use crate::xml::Element;

/// What a form is for (XEP-0004 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormType {
    /// To be filled in.
    Form,
    /// Filled in.
    Submit,
    /// Given up.
    Cancel,
    /// Only to be read.
    Result,
}

impl FormType {
    fn name(self) -> &'static str {
        match self {
            FormType::Form => "form",
            FormType::Submit => "submit",
            FormType::Cancel => "cancel",
            FormType::Result => "result",
        }
    }
}

/// A field (XEP-0004 §3.2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub var: String,
    /// Its type, such as `text-single`; empty where it is not said.
    pub type_: String,
    /// What a person reads beside it.
    pub label: Option<String>,
    /// Its values.
    pub values: Vec<String>,
    /// The values that it may have, if it is to be one of some.
    pub options: Vec<String>,
    /// Whether it must be filled in.
    pub required: bool,
}

impl Field {
    /// A field to be filled in.
    pub fn new(var: &str, type_: &str, label: &str) -> Self {
        let label = Some(label.to_owned());
        Field { var: var.to_owned(), type_: type_.to_owned(), label, ..Field::default() }
    }

    /// With values.
    pub fn with_values(mut self, values: impl IntoIterator<Item = String>) -> Self {
        self.values.extend(values);
        self
    }

    /// With the values that it may have.
    pub fn with_options(mut self, options: impl IntoIterator<Item = String>) -> Self {
        self.options.extend(options);
        self
    }

    /// One that must be filled in.
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    fn to_element(&self) -> Element {
        let mut field = Element::new(ns::FORMS, "field")
            .with_attr("var", &self.var)
            .with_attr_opt("label", self.label.as_deref());
        if !self.type_.is_empty() {
            field.set_attr("type", &self.type_);
        }
        if self.required {
            field.push(Element::new(ns::FORMS, "required"));
        }
        for value in &self.values {
            field.push(Element::new(ns::FORMS, "value").with_text(value));
        }
        for option in &self.options {
            let value = Element::new(ns::FORMS, "value").with_text(option);
            field.push(Element::new(ns::FORMS, "option").with_child(value));
        }
        field
    }
}

/// A form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// What it is for.
    pub type_: FormType,
    /// What a person reads above it.
    pub title: Option<String>,
    /// How to fill it in.
    pub instructions: Option<String>,
    /// Its fields, `FORM_TYPE` among them.
    pub fields: Vec<Field>,
}

impl Form {
    /// A form of this kind (XEP-0068): its `FORM_TYPE` is the first field.
    pub fn new(type_: FormType, form_type: &str) -> Self {
        let kind = Field {
            var: "FORM_TYPE".to_owned(),
            type_: "hidden".to_owned(),
            values: vec![form_type.to_owned()],
            ..Field::default()
        };
        Form { type_, title: None, instructions: None, fields: vec![kind] }
    }

    /// Reads an `x` element. `None` when its type is not known.
    pub fn read(x: &Element) -> Option<Form> {
        let type_ = match x.attr("type")? {
            "form" => FormType::Form,
            "submit" => FormType::Submit,
            "cancel" => FormType::Cancel,
            "result" => FormType::Result,
            _ => return None,
        };
        let text = |name: &str| x.child(ns::FORMS, name).map(Element::text);
        let fields = x
            .children()
            .filter(|child| child.is(ns::FORMS, "field"))
            .map(|field| Field {
                var: field.attr("var").unwrap_or_default().to_owned(),
                type_: field.attr("type").unwrap_or_default().to_owned(),
                label: field.attr("label").map(str::to_owned),
                values: field
                    .children()
                    .filter(|child| child.is(ns::FORMS, "value"))
                    .map(Element::text)
                    .collect(),
                options: field
                    .children()
                    .filter(|child| child.is(ns::FORMS, "option"))
                    .filter_map(|option| option.child(ns::FORMS, "value").map(Element::text))
                    .collect(),
                required: field.child(ns::FORMS, "required").is_some(),
            })
            .collect();
        Some(Form { type_, title: text("title"), instructions: text("instructions"), fields })
    }

    /// Its kind (XEP-0068).
    pub fn form_type(&self) -> Option<&str> {
        self.value("FORM_TYPE")
    }

    /// The field of this name.
    pub fn field(&self, var: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.var == var)
    }

    /// The first value of a field.
    pub fn value(&self, var: &str) -> Option<&str> {
        self.field(var)?.values.first().map(String::as_str)
    }

    /// The `x` element.
    pub fn to_element(&self) -> Element {
        let mut x = Element::new(ns::FORMS, "x").with_attr("type", self.type_.name());
        if let Some(title) = &self.title {
            x.push(Element::new(ns::FORMS, "title").with_text(title));
        }
        if let Some(instructions) = &self.instructions {
            x.push(Element::new(ns::FORMS, "instructions").with_text(instructions));
        }
        x.with_children(self.fields.iter().map(Field::to_element))
    }
}
