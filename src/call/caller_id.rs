//! Whom others see calling. Purpose: what a trunk says of its caller (P-Asserted-Identity, RFC 3325) is believed where the
//! operator trusts it; what we say to a trunk is as it wants to be told (From, P-Asserted- or P-Preferred-Identity), and that a
//! call was passed on (Diversion, RFC 5806; History-Info, RFC 7044). Pure. Invariants: who is withheld (RFC 3323) is named to
//! carriers only, never to a telephone; what a stranger asserts is neither believed nor passed on; nothing that a caller has
//! written breaks out of its header field. Deliberately absent: numbers' forms, and who may call whom.

use super::actor::Invitation;
use super::manners::is_withheld;
use crate::config::{CallerIdentity, Forwarding, Trunk};
use crate::limits::DIVERSIONS_MAX;
use crate::sip::message::{Address, Scheme, Uri, split_list, to_text};
use crate::sip::peer::Peer;

/// Header fields, name and value.
type Fields = Vec<(String, String)>;

const ASSERTED: &str = "P-Asserted-Identity";
const PREFERRED: &str = "P-Preferred-Identity";
const NOBODY: &str = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";

fn all<'a>(headers: &'a Fields, name: &'a str) -> impl Iterator<Item = &'a str> {
    headers.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// Whether whoever calls does not want to be seen.
#[must_use]
pub fn withheld(from: &str, headers: &Fields) -> bool {
    let words = ["id", "user", "header"];
    let mut asked = all(headers, "Privacy").flat_map(|value| value.split([';', ',']));
    asked.any(|word| words.iter().any(|w| word.trim().eq_ignore_ascii_case(w))) || is_withheld(from)
}

/// The identity that a trusted network asserts: a name and a SIP URI.
fn asserted(headers: &Fields) -> Option<String> {
    let values = all(headers, ASSERTED).flat_map(|value| split_list(value.as_bytes()));
    let mut read = values.filter_map(|value| {
        let address = Address::parse(value).ok()?;
        let uri = Uri::parse(&address.uri).ok()?;
        // A tel URI has no host that an answer could go to; the SIP URI beside it says the same.
        (matches!(uri.scheme, Scheme::Sip | Scheme::Sips) && uri.user.is_some()).then(|| to_text(&address.name_addr()))
    });
    read.next()
}

/// What an INVITE says of its caller, as far as whoever sent it is trusted: the identity that the network asserts takes From's
/// place, unless it is to be kept secret; what a stranger asserts is dropped.
pub(super) fn receive(invitation: &mut Invitation, trusted: bool) {
    match &invitation.identity {
        Peer::Trunk(_) if trusted => {
            if let Some(caller) = asserted(&invitation.headers)
                && !withheld_by_wish(&invitation.headers)
            {
                invitation.from = caller;
            }
        }
        Peer::Attached => {}
        Peer::Trunk(_) | Peer::Extension(_) => {
            invitation.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(ASSERTED));
        }
    }
}

fn withheld_by_wish(headers: &Fields) -> bool {
    withheld("<sip:somebody@localhost>", headers)
}

/// Who is really calling, for carriers.
pub(super) fn known(invitation: &Invitation, trusted: bool) -> String {
    asserted(&invitation.headers).filter(|_| trusted).unwrap_or_else(|| invitation.from.clone())
}

/// From and the further fields of an INVITE by this trunk, or by none. `from`: as the trunk wants to see it.
pub(super) fn present(from: String, withheld: bool, trunk: Option<&Trunk>) -> (String, Fields) {
    let identity = trunk.map(|trunk| trunk.identity).unwrap_or_default();
    let field = match (identity, trunk) {
        (CallerIdentity::Preferred, _) => Some(PREFERRED),
        (CallerIdentity::Asserted, _) => Some(ASSERTED),
        // Whoever carries a call has to know whose it is (RFC 3325 section 9.1).
        (CallerIdentity::From, Some(_)) if withheld => Some(ASSERTED),
        (CallerIdentity::From, _) => None,
    };
    let mut headers: Fields = Vec::new();
    if let Some(field) = field.filter(|_| !is_withheld(&from)) {
        headers.push((field.to_owned(), from.clone()));
    }
    if !withheld {
        return (from, headers);
    }
    headers.push(("Privacy".to_owned(), "id".to_owned()));
    (NOBODY.to_owned(), headers)
}

/// What is said to a trunk of a call that came from outside and goes out again: by whom it was passed on. `host` is ours there,
/// `target` the Request-URI.
pub(super) fn forwarded(invitation: &Invitation, host: &str, target: &str, trunk: &Trunk) -> Fields {
    let mut fields: Fields = Vec::new();
    if trunk.forwarded == Forwarding::None || invitation.identity.trunk().is_none() {
        return fields;
    }
    let us = format!("sip:{}@{host}", invitation.number);
    if Uri::parse(us.as_bytes()).is_err() || Uri::parse(target.as_bytes()).is_err() {
        return fields;
    }
    if matches!(trunk.forwarded, Forwarding::Diversion | Forwarding::Both) {
        // The last one who passed it on comes first (RFC 5806 section 4).
        fields.push(("Diversion".to_owned(), format!("<{us}>;reason=unconditional;counter=1")));
        let before = all(&invitation.headers, "Diversion").take(DIVERSIONS_MAX - 1);
        fields.extend(before.map(|value| ("Diversion".to_owned(), value.to_owned())));
    }
    if matches!(trunk.forwarded, Forwarding::HistoryInfo | Forwarding::Both) {
        let before: Vec<&str> = all(&invitation.headers, "History-Info").take(DIVERSIONS_MAX).collect();
        let last = before.iter().flat_map(|value| split_list(value.as_bytes())).filter_map(index).next_back();
        fields.extend(before.iter().map(|value| ("History-Info".to_owned(), (*value).to_owned())));
        let (mine, last) = match last {
            Some(last) => (String::new(), last),
            None => (format!("<{us}>;index=1, "), "1".to_owned()),
        };
        fields.push(("History-Info".to_owned(), format!("{mine}<{target}>;index={last}.1;mp={last}")));
    }
    fields
}

/// `index` of an entry (RFC 7044 section 5): `1.2.1`.
fn index(entry: &[u8]) -> Option<String> {
    let text = to_text(entry);
    let value =
        text.rsplit('>').next()?.split(';').find_map(|part| part.trim().strip_prefix("index="))?.trim().to_owned();
    let sound = !value.is_empty() && value.len() < 64 && value.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    sound.then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::agent::LegId;

    fn trunk(more: &str) -> Trunk {
        toml::from_str(&format!("name = \"carrier\"\nhost = \"sbc.example\"\n{more}")).unwrap()
    }

    fn invitation(identity: Peer, headers: &[(&str, &str)]) -> Invitation {
        Invitation {
            leg: LegId(1),
            from: "\"Ann\" <sip:100@pbx.example>".to_owned(),
            number: "300".to_owned(),
            sip_call_id: String::new(),
            source: "192.0.2.1:5060".parse().unwrap(),
            hops: 70,
            identity,
            headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            fields: Vec::new(),
            offer: None,
        }
    }

    #[test]
    fn only_a_trusted_trunk_says_who_calls() {
        let carrier = || Peer::Trunk("carrier".into());
        let says = [("P-Asserted-Identity", "tel:+4930123, \"Real, Ann\" <sip:+4930123@sbc.example;user=phone>")];
        let mut trusted = invitation(carrier(), &says);
        receive(&mut trusted, true);
        assert_eq!(trusted.from, "\"Real, Ann\" <sip:+4930123@sbc.example;user=phone>");
        for stranger in [carrier(), Peer::Extension("200".into())] {
            let mut call = invitation(stranger, &says);
            receive(&mut call, false);
            assert!(call.from.contains("100@pbx.example") && call.headers.is_empty(), "{call:?}");
        }
        // To be kept secret: known to carriers, shown to nobody.
        let mut secret = invitation(carrier(), &[says[0], ("Privacy", "critical; ID")]);
        receive(&mut secret, true);
        assert!(secret.from.contains("100@pbx.example") && withheld(&secret.from, &secret.headers));
        assert!(known(&secret, true).contains("+4930123") && known(&secret, false).contains("100@"));
        assert!(withheld("\"x\" <sip:anonymous@anonymous.invalid>", &vec![]));
        assert!(!withheld("<sip:ann@h>", &vec![("Privacy".into(), "none".into())]));
    }

    #[test]
    fn a_trunk_is_told_as_it_wants_to_be() {
        let from = || "\"Ann\" <sip:+4930123@sbc.example>".to_owned();
        let plain = trunk("");
        assert_eq!(present(from(), false, Some(&plain)), (from(), vec![]));
        assert_eq!(present(from(), false, None), (from(), vec![]));
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let asserts = trunk("identity = \"asserted\"");
        assert_eq!(present(from(), false, Some(&asserts)), (from(), vec![field(ASSERTED, &from())]));
        let prefers = trunk("identity = \"preferred\"");
        let hidden = |name: &str| (NOBODY.to_owned(), vec![field(name, &from()), field("Privacy", "id")]);
        assert_eq!(present(from(), true, Some(&prefers)), hidden(PREFERRED));
        assert_eq!(present(from(), true, Some(&plain)), hidden(ASSERTED), "the carrier has to know");
        assert_eq!(present(from(), true, None).1, [field("Privacy", "id")], "a telephone does not");
        let nobody = "<sip:anonymous@sbc.example>".to_owned();
        assert_eq!(present(nobody, true, Some(&asserts)).1, [field("Privacy", "id")], "nobody is not asserted");
    }

    #[test]
    fn who_has_passed_a_call_on_is_told_in_order() {
        let both = trunk("forwarded = \"both\"");
        let came = |headers: &[(&str, &str)]| invitation(Peer::Trunk("in".into()), headers);
        let told = |call: &Invitation, trunk: &Trunk| -> Vec<String> {
            let fields = forwarded(call, "us.example", "sip:+49171@sbc.example", trunk);
            fields.into_iter().map(|(name, value)| format!("{name}: {value}")).collect()
        };
        assert_eq!(
            told(&came(&[]), &both),
            [
                "Diversion: <sip:300@us.example>;reason=unconditional;counter=1",
                "History-Info: <sip:300@us.example>;index=1, <sip:+49171@sbc.example>;index=1.1;mp=1"
            ]
        );
        let before = [
            ("Diversion", "<sip:1@a>;reason=user-busy"),
            ("History-Info", "<sip:0@a>;index=1, <sip:1@a?Reason=SIP%3Bcause%3D486>;index=1.1;rc=1"),
        ];
        let told_both = told(&came(&before), &both);
        assert_eq!(told_both[1], "Diversion: <sip:1@a>;reason=user-busy");
        assert_eq!(told_both[3], "History-Info: <sip:+49171@sbc.example>;index=1.1.1;mp=1.1");
        assert!(told(&came(&before), &trunk("")).is_empty());
        assert!(
            told(&invitation(Peer::Extension("200".into()), &before), &both).is_empty(),
            "it is the caller's own call"
        );
        assert_eq!(told(&came(&[]), &trunk("forwarded = \"history-info\"")).len(), 1);
        assert_eq!(index(b"<sip:a@b;index=9>;index=x"), None);
    }
}
