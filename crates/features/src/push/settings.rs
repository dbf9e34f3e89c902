//! What people have set for single chats (XEP-0492): whether they are told always, when they are mentioned, or never.

use std::collections::BTreeMap;

use step::Identity;
use store::{ItemsSaying, NodeItem, Write};
use xmpp::jid::Jid;
use xmpp::ns;
use xmpp::xml::{self, Element};

/// Chats of one account whose settings are heeded: those that were set last.
const CHATS_MAX: usize = 500;
/// Bytes of a bookmark that is looked into.
const BOOKMARK_BYTES_MAX: usize = 4_096;
/// Settings of one chat that are looked at: each is for other clients.
const CHOICES_MAX: usize = 32;

/// The items from which settings are loaded.
pub const ITEMS: ItemsSaying = ItemsSaying {
    node: ns::BOOKMARKS,
    text: ns::NOTIFICATION_SETTINGS,
    bytes_max: BOOKMARK_BYTES_MAX as u64,
    items_max: CHATS_MAX as u64,
};

/// When somebody wants to be told what is said in a chat; what tells more comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    /// Of nothing.
    Never,
    /// Of what names them, or points at them.
    OnMention,
    /// Of everything.
    Always,
}

/// A setting, and for which clients it is (§2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Choice {
    setting: Setting,
    category: Option<String>,
    type_: Option<String>,
}

/// What an account has set, by chat and item: the items of its bookmarks, as they are in the store.
#[derive(Debug, Default)]
pub struct Settings {
    chats: BTreeMap<(Jid, String), Chat>,
}

#[derive(Debug)]
struct Chat {
    /// The place of the item in the order of publication.
    seq: u64,
    choices: Vec<Choice>,
}

impl Settings {
    /// Reads them from the items that [`ITEMS`] asks for.
    pub fn load(items: Vec<NodeItem>) -> Self {
        let mut settings = Settings::default();
        items.iter().for_each(|item| settings.set(item));
        settings
    }

    /// Heeds what a step writes: every way by which an item comes or goes is a write.
    pub fn heed(&mut self, writes: &[Write]) {
        for write in writes {
            match write {
                Write::ItemPut { node, item, .. } if node == ITEMS.node => {
                    self.forget(&item.id);
                    self.set(item);
                }
                Write::ItemRemove { node, id, .. } if node == ITEMS.node => self.forget(id),
                Write::NodePurge { node, .. } | Write::NodeRemove { node, .. } if node == ITEMS.node => {
                    self.chats.clear();
                }
                _ => {}
            }
        }
    }

    /// What is set for a chat, for a client that is this (§3): `None` if nothing is.
    pub fn of(&self, chat: &Jid, identities: &[Identity]) -> Option<Setting> {
        // Several items may spell the address of one chat.
        let chats = self.chats.range((chat.clone(), String::new())..).take_while(|((jid, _), _)| jid == chat);
        let choices: Vec<&Choice> = chats.flat_map(|(_, chat)| &chat.choices).collect();
        let category =
            |choice: &Choice, identity: &Identity| choice.category.as_ref() == Some(&identity.category);
        let type_ = |choice: &Choice, identity: &Identity| choice.type_.as_ref() == Some(&identity.type_);
        let matches = |is: &dyn Fn(&Choice, &Identity) -> bool| {
            let found =
                choices.iter().filter(|choice| identities.iter().any(|identity| is(choice, identity)));
            most(found.copied())
        };
        // §3: from the most specific one to the fallback.
        matches(&|choice, identity| category(choice, identity) && type_(choice, identity))
            .or_else(|| matches(&|choice, identity| category(choice, identity) && choice.type_.is_none()))
            .or_else(|| most(choices.iter().copied().filter(|choice| choice.category.is_none())))
    }

    fn set(&mut self, item: &NodeItem) {
        // XEP-0402 §2: the id is the address of the chat.
        let Ok(chat) = Jid::new(&item.id) else { return };
        let choices = choices(&item.xml);
        if choices.is_empty() {
            return;
        }
        self.chats.insert((chat, item.id.clone()), Chat { seq: item.seq, choices });
        if self.chats.len() > CHATS_MAX {
            let oldest = self.chats.iter().min_by_key(|(_, chat)| chat.seq).map(|(key, _)| key.clone());
            oldest.iter().for_each(|oldest| drop(self.chats.remove(oldest)));
        }
    }

    fn forget(&mut self, id: &str) {
        if let Ok(chat) = Jid::new(id) {
            self.chats.remove(&(chat, id.to_owned()));
        }
    }
}

/// Several for the same clients contradict one another, and §3 does not say which of them holds: better once too often.
fn most<'c>(choices: impl Iterator<Item = &'c Choice>) -> Option<Setting> {
    choices.map(|choice| choice.setting).max()
}

/// The settings in a bookmark; what is none is overlooked.
fn choices(bookmark: &[u8]) -> Vec<Choice> {
    if bookmark.len() > BOOKMARK_BYTES_MAX {
        return Vec::new();
    }
    let Ok(bookmark) = xml::parse(bookmark, xml::Limits::CHECKED) else { return Vec::new() };
    let extensions =
        bookmark.child(ns::BOOKMARKS, "extensions").filter(|_| bookmark.is(ns::BOOKMARKS, "conference"));
    let notify = extensions.and_then(|extensions| extensions.child(ns::NOTIFICATION_SETTINGS, "notify"));
    notify.map_or(Vec::new(), |notify| notify.children().filter_map(choice).take(CHOICES_MAX).collect())
}

/// §2.3: of settings that are finer than these, the one around them is the fallback.
fn choice(element: &Element) -> Option<Choice> {
    let setting = match element.name() {
        "always" => Setting::Always,
        "on-mention" => Setting::OnMention,
        "never" => Setting::Never,
        _ => return None,
    };
    let attribute = |name| element.attr(name).map(str::to_owned);
    let (category, type_) = (attribute("identity-category"), attribute("identity-type"));
    // §2.2: there is no type without a category.
    let is_one = element.ns() == ns::NOTIFICATION_SETTINGS && (category.is_some() || type_.is_none());
    is_one.then_some(Choice { setting, category, type_ })
}

#[cfg(test)]
mod tests;
