//! A file of hostile cases, read: each becomes a conversation for every stage at which it is to be played.

use std::collections::BTreeSet;

use simulator::conversation::{Script, Setting};

/// MiB by which the server may grow in a case that names no other number. It grows by huge pages of 2 MiB, and what the
/// allocator keeps at hand for each thread is part of it.
pub const GROWTH_MIB: u64 = 6;

/// A file of cases.
#[derive(Debug)]
pub struct Theme {
    /// The file's name without its end.
    pub name: String,
    /// Its first line.
    pub title: String,
    /// `played in pieces`: every case is played again, with what is said coming byte by byte and cut in two everywhere.
    pub in_pieces: bool,
    /// The server's settings, for all cases.
    pub settings: Vec<Setting>,
    /// The cases, in order; one for each stage.
    pub cases: Vec<Case>,
}

/// One thing that is tried, at one stage.
#[derive(Debug)]
pub struct Case {
    /// What it is, and at which stage.
    pub name: String,
    /// MiB by which the server's memory may grow meanwhile.
    pub growth_mib: u64,
    /// What is said, and what must come of it.
    pub script: Script,
}

/// What stands above the cases: what is true of all of them, and how far a connection is taken before they begin.
#[derive(Default)]
struct Head {
    title: String,
    in_pieces: bool,
    growth_mib: Option<u64>,
    settings: String,
    everywhere: String,
    stages: Vec<(String, String)>,
}

impl Theme {
    /// Reads a file.
    ///
    /// # Errors
    /// The case that cannot be understood, and why.
    pub fn read(name: &str, text: &str) -> Result<Theme, String> {
        let mut parts = text.split("\n== ");
        let head = Head::read(parts.next().unwrap_or_default()).map_err(|why| format!("{name}: {why}"))?;
        let mut cases = Vec::new();
        for part in parts {
            let (title, body) = part.split_once('\n').unwrap_or((part, ""));
            // The sections that it rests on stand behind a wide space.
            let title = title.split("   ").next().unwrap_or_default().trim();
            let read = head.cases(title, body);
            cases.extend(read.map_err(|why| format!("{name}: {title}: {why}"))?);
        }
        let settings = Script::read(&head.settings)?.settings;
        Ok(Theme { name: name.to_owned(), title: head.title, in_pieces: head.in_pieces, settings, cases })
    }

    /// The bare addresses of all who take part in any case.
    pub fn accounts(&self) -> Vec<String> {
        let all: BTreeSet<String> = self.cases.iter().flat_map(|case| case.script.accounts()).collect();
        all.into_iter().collect()
    }
}

impl Head {
    fn read(text: &str) -> Result<Head, String> {
        let mut head = Head::default();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            if let Some(comment) = line.strip_prefix('#') {
                if head.title.is_empty() {
                    head.title = comment.trim().to_owned();
                }
            } else if line == "played in pieces" {
                head.in_pieces = true;
            } else if let Some(growth) = line.strip_prefix("grows by ") {
                head.growth_mib = Some(mib(growth)?);
            } else if line.starts_with("with ") {
                head.settings.push_str(&format!("{line}\n"));
            } else if let Some(stage) = line.strip_prefix("at ") {
                head.stages.push((stage.trim_end_matches(':').to_owned(), String::new()));
            } else if let Some(line) = line.strip_prefix("  ") {
                let (_, stage) = head.stages.last_mut().ok_or("an indented line belongs to a stage")?;
                stage.push_str(&format!("{line}\n"));
            } else {
                head.everywhere.push_str(&format!("{line}\n"));
            }
        }
        if head.stages.is_empty() {
            head.stages.push((String::new(), String::new()));
        }
        Ok(head)
    }

    /// The case at each of its stages: all, or those that it names.
    fn cases(&self, title: &str, body: &str) -> Result<Vec<Case>, String> {
        let mut growth_mib = self.growth_mib.unwrap_or(GROWTH_MIB);
        let mut only = None;
        let mut said = String::new();
        for line in body.lines() {
            if let Some(growth) = line.strip_prefix("grows by ") {
                growth_mib = mib(growth)?;
            } else if let Some(stages) = line.strip_prefix("only ") {
                only = Some(stages.split(", ").collect::<Vec<_>>());
            } else if let Some((who, condition)) = line.split_once(" ! ") {
                // The stream ends with this error.
                said.push_str(&format!(
                    "{who} < <stream:error><{condition}/></stream:error>\n{who} < (closed)\n"
                ));
            } else {
                said.push_str(&format!("{line}\n"));
            }
        }
        let unknown = only.iter().flatten().find(|name| !self.stages.iter().any(|(stage, _)| stage == *name));
        if let Some(stage) = unknown {
            return Err(format!("there is no stage '{stage}'"));
        }
        let stages = self
            .stages
            .iter()
            .filter(|(stage, _)| only.as_ref().is_none_or(|only| only.contains(&stage.as_str())));
        let case = |(stage, before): &(String, String)| {
            let text = format!("# {title}\n{}{}{before}{said}", self.settings, self.everywhere);
            let name = if stage.is_empty() { title.to_owned() } else { format!("{title}, {stage}") };
            Ok(Case { name, growth_mib, script: Script::read(&text)? })
        };
        stages.map(case).collect()
    }
}

fn mib(text: &str) -> Result<u64, String> {
    let number = text.strip_suffix(" MiB").ok_or("memory is given in MiB")?;
    number.trim().parse().map_err(|_| format!("'{number}' is not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# A title.\nplayed in pieces\nwith limit login_elements 6\nbob = bob@one.test/x\n\
        at start:\n  eve = raw\nat login:\n  eve = raw secured\n  eve opens one.test\n\n\
        == a comment\neve > <!-- -->\neve ! restricted-xml\n\n== more\nonly login\ngrows by 9 MiB\neve > <a/>\n";

    #[test]
    fn a_case_is_played_at_its_stages() {
        let theme = Theme::read("xml", TEXT).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!((theme.title.as_str(), theme.in_pieces), ("A title.", true));
        let names: Vec<&str> = theme.cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names, ["a comment, start", "a comment, login", "more, login"]);
        let grown: Vec<u64> = theme.cases.iter().map(|case| case.growth_mib).collect();
        assert_eq!(grown, [GROWTH_MIB, GROWTH_MIB, 9]);
        let lines: Vec<&str> = theme.cases[0].script.lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(
            lines[2..],
            ["eve > <!-- -->", "eve < <stream:error><restricted-xml/></stream:error>", "eve < (closed)"]
        );
        assert_eq!(theme.accounts(), ["bob@one.test"]);
    }

    #[test]
    fn what_is_not_understood_names_its_case() {
        let why = Theme::read("xml", &format!("{TEXT}== a third\nonly the moon\n")).unwrap_err();
        assert_eq!(why, "xml: a third: there is no stage 'the moon'");
    }
}
