//! What the store has of every account when a rehearsal is at rest.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use store::{ArchiveQuery, ItemsWanted, Page, StoreError};
use xmpp::jid::BareJid;
use xmpp::stanza::Stanza;
use xmpp::xml::Limits;

use crate::event::{Kept, MessageNo, message_number};
use crate::house::House;
use crate::publishing::NODE;

/// The records of these accounts.
///
/// # Errors
/// When the store cannot be read.
pub fn of(house: &House, accounts: &[BareJid]) -> Result<Vec<Kept>, StoreError> {
    accounts
        .iter()
        .map(|account| kept(house, account).now_or_never().unwrap_or(Err(StoreError::Closed)))
        .collect()
}

async fn kept(house: &House, account: &BareJid) -> Result<Kept, StoreError> {
    let store = house.store();
    let addresses = |notes: Vec<(String, Vec<u8>)>| {
        notes.into_iter().filter_map(|(key, _)| BareJid::new(&key).ok()).collect()
    };
    let held = store.offline(account, 0, usize::MAX).await?;
    let archived = archive(house, account).await?;
    let ids = held.iter().filter_map(|message| Stanza::read(&message.xml).ok()?.id);
    Ok(Kept {
        account: account.clone(),
        contacts: store.roster(account).await?.1,
        requests: addresses(store.notes(account, step::roster::REQUESTS).await?),
        blocked: addresses(store.notes(account, features::blocking::TOPIC).await?),
        held: ids.filter_map(|id| message_number(&id)).collect(),
        archived,
        published: published(house, account).await?,
    })
}

/// The numbers that an account has published.
async fn published(house: &House, account: &BareJid) -> Result<BTreeMap<String, u32>, StoreError> {
    let all = ItemsWanted::Newest(usize::MAX);
    let found = house.store().items(account, NODE, &all, u64::MAX).await?.unwrap_or_default();
    let number = |xml: &[u8]| xmpp::xml::parse(xml, Limits::default()).ok()?.text().parse().ok();
    Ok(found.items.into_iter().filter_map(|item| Some((item.id, number(&item.xml)?))).collect())
}

/// The numbers of messages in an archive, read as clients read it: page by page.
async fn archive(house: &House, account: &BareJid) -> Result<Vec<MessageNo>, StoreError> {
    const PAGE: usize = 10;
    let (mut numbers, mut page) = (Vec::new(), Page::First);
    loop {
        let query = ArchiveQuery { page, max: PAGE, ..ArchiveQuery::default() };
        let Some(read) = house.store().archive_page(account, &query).await? else { return Ok(numbers) };
        let ids = read.messages.iter().filter_map(|message| Stanza::read(&message.xml).ok()?.id);
        numbers.extend(ids.filter_map(|id| message_number(&id)));
        match read.messages.last() {
            Some(last) if !read.complete => page = Page::After(last.seq),
            _ => return Ok(numbers),
        }
    }
}
