//! Somebody who publishes more than there may be, tells one hash after the other, and wants all that is there again and
//! again (XEP-0060, XEP-0115).

use super::requests::{FAST, ask, eve};
use super::{Pressure, must, of};
use crate::siege::Siege;
use crate::suite::Reach;

pub const ALL: [Pressure; 5] = [
    Pressure { name: "more nodes than there may be", settings: FAST, growth_mib: 24, bear: nodes },
    Pressure {
        name: "more items and addresses than there may be",
        settings: FAST,
        growth_mib: 24,
        bear: items,
    },
    Pressure { name: "the longest addresses on all nodes", settings: FAST, growth_mib: 32, bear: addresses },
    Pressure { name: "a storm of hashes that nobody explains", settings: FAST, growth_mib: 24, bear: hashes },
    Pressure {
        name: "the last items of all nodes, again and again",
        settings: FAST,
        growth_mib: 72,
        bear: last,
    },
];

const NS: &str = "http://jabber.org/protocol/pubsub";
/// limits.nodes_per_account
const NODES: usize = 200;
/// What a client tells that wants news of `n0` to `n199` (XEP-0115 §5.1).
const VER: &str = "a4tOMX1r2av3tBSDkDTQhzY6dtU=";

/// A request to one's own account.
fn set(namespace: &str, inner: &str) -> String {
    format!("<iq type='set' id='s'><pubsub xmlns='{namespace}'>{inner}</pubsub></iq>")
}

fn create(number: usize) -> String {
    set(NS, &format!("<create node='n{number}'/>"))
}

fn affiliations(node: usize, addresses: impl Iterator<Item = String>) -> String {
    let all: String =
        addresses.map(|jid| format!("<affiliation jid='{jid}' affiliation='outcast'/>")).collect();
    set(&format!("{NS}#owner"), &format!("<affiliations node='n{node}'>{all}</affiliations>"))
}

fn nodes(siege: &mut Siege, reach: Reach) -> Result<String, String> {
    let count = of(reach, 2_000, 250);
    let mut eve = eve(siege)?;
    let refused = ask(&mut eve, &(0..count).map(create).collect::<String>(), "<max-nodes-exceeded")?;
    must(refused == count - NODES, || format!("{refused} of {count} were refused"))?;
    Ok(format!("{NODES} made, {refused} refused"))
}

fn items(siege: &mut Siege, reach: Reach) -> Result<String, String> {
    let count = of(reach, 5_000, 1_100);
    let mut eve = eve(siege)?;
    let options = format!(
        "<publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
         <value>{NS}#publish-options</value></field><field var='pubsub#max_items'><value>max</value></field></x>\
         </publish-options>"
    );
    let publish = format!("<publish node='n0'><item><a xmlns='urn:a'/></item></publish>{options}");
    let refused = ask(&mut eve, &set(NS, &publish).repeat(count), "type='error'")?;
    must(refused == 0, || format!("{refused} items were refused"))?;
    // limits.items_per_node
    let page = "<items node='n0'/><set xmlns='http://jabber.org/protocol/rsm'><max>0</max></set>";
    let kept = ask(&mut eve, &set(NS, page).replace("'set'", "'get'"), "<count>1000</count>")?;
    must(kept == 1, || "it is not a thousand items that are kept".to_owned())?;
    // AFFILIATIONS_MAX
    let said = affiliations(0, (0..1_000).map(|number| format!("u{number}@one.test")))
        + &affiliations(0, ["another@one.test".to_owned()].into_iter());
    let refused = ask(&mut eve, &said, "<policy-violation")?;
    must(refused == 1, || format!("{refused} changes of addresses were refused"))?;
    Ok(format!("{count} published, 1000 kept; 1000 addresses, 1 refused"))
}

/// STATES_BYTES_MAX: a mebibyte of all nodes is four nodes of two hundred such addresses.
fn addresses(siege: &mut Siege, reach: Reach) -> Result<String, String> {
    let count = of(reach, NODES, 40);
    let mut eve = eve(siege)?;
    ask(&mut eve, &(0..count).map(create).collect::<String>(), "")?;
    let long = "x".repeat(1_010);
    let mut refused = 0;
    for node in 0..count {
        let all = (0..200).map(|number| format!("{long}{number:04}@one.test"));
        refused += ask(&mut eve, &affiliations(node, all), "<policy-violation")?;
    }
    must(refused == count - 4, || format!("{refused} of {count} were refused"))?;
    Ok(format!("{} nodes of 200 addresses, {refused} refused", count - refused))
}

fn hashes(siege: &mut Siege, reach: Reach) -> Result<String, String> {
    let count = of(reach, 5_000, 500);
    let mut eve = eve(siege)?;
    let presence = |number| {
        format!(
            "<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:eve' ver='{number}'/>\
             </presence>"
        )
    };
    let asked = ask(&mut eve, &(0..count).map(presence).collect::<String>(), "type='get'")?;
    must((1..=count).contains(&asked), || format!("she was asked {asked} times"))?;
    Ok(format!("{count} hashes, asked {asked} times"))
}

fn last(siege: &mut Siege, reach: Reach) -> Result<String, String> {
    let count = of(reach, 40, 8);
    let mut eve = eve(siege)?;
    let text = "x".repeat(60_000);
    let publish = |number: usize| {
        set(
            NS,
            &format!("<publish node='n{number}'><item id='i'><a xmlns='urn:a'>{text}</a></item></publish>"),
        )
    };
    for number in 0..NODES {
        let refused = ask(&mut eve, &publish(number), "type='error'")?;
        must(refused == 0, || format!("item {number} was refused"))?;
    }
    let there = format!(
        "<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:eve' ver='{VER}'/></presence>"
    );
    eve.say(there.as_bytes());
    let question = eve.hear("type='get'")? + &eve.hear("</iq>")?;
    let id = question.rsplit("<iq ").next().and_then(|iq| iq.split("id='").nth(1)?.split('\'').next());
    let id = id.ok_or_else(|| format!("no question in {question}"))?;
    let features: String = (0..NODES).map(|number| format!("<feature var='n{number}+notify'/>")).collect();
    let answer = format!(
        "<iq type='result' id='{id}'><query xmlns='http://jabber.org/protocol/disco#info'>\
         <identity category='client' type='pc' name='T'/>{features}</query></iq>"
    );
    // Had she not been understood, nothing would come at all.
    let heard = ask(&mut eve, &answer, "<delay ")?;
    // LAST_BYTES_MAX
    must(heard == 2, || format!("{heard} items were told"))?;
    let again = format!("<presence type='unavailable'/>{there}");
    let mut told = 0;
    for _ in 0..count {
        told += ask(&mut eve, &again, "<delay ")?;
    }
    must(told >= count, || format!("{told} items were told to one who came {count} times"))?;
    Ok(format!("{heard} of {NODES} items told at first, {told} more for {count} times"))
}
