//! How a message finds its transaction (RFC 3261 §17.1.3, §17.2.3).

use std::net::IpAddr;

use crate::sip::hop::Transport;
use crate::sip::message::{CoreFields, MAGIC_COOKIE, Method};

/// Key of a server transaction. The source address is part of it, so that nobody else on the network can CANCEL or ACK
/// for a peer whose branch he has guessed; so is the transport, by which a transaction begins and ends (§17): the same octets
/// by another one are another request.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ServerKey {
    branch: Vec<u8>,
    sent_by: (String, Option<u16>),
    method: Method,
    source: IpAddr,
    transport: Transport,
}

impl ServerKey {
    /// Key of the transaction that a request opens, repeats or (ACK) acknowledges.
    #[must_use]
    pub fn of(core: &CoreFields, source: IpAddr, transport: Transport) -> Self {
        let method = match &core.cseq.method {
            Method::Ack => Method::Invite,
            method => method.clone(),
        };
        let mut branch = core.via.branch().to_vec();
        if !branch.starts_with(MAGIC_COOKIE) {
            // RFC 2543 clients: INVITE, ACK and CANCEL of one transaction share Call-ID, From tag and CSeq number.
            branch.extend_from_slice(b"\n");
            branch.extend_from_slice(&core.call_id);
            branch.extend_from_slice(b"\n");
            branch.extend_from_slice(core.from.tag().unwrap_or_default());
            branch.extend_from_slice(format!("\n{}", core.cseq.number).as_bytes());
        }
        Self { branch, sent_by: (core.via.host.to_ascii_lowercase(), core.via.port), method, source, transport }
    }

    /// Keys of the INVITE that a CANCEL with this key means (RFC 3261 §9.2). It should come by the INVITE's transport; from
    /// the same address it is meant well by another one, too.
    pub fn of_cancelled(&self) -> impl Iterator<Item = Self> {
        [Transport::Udp, Transport::Tcp, Transport::Tls].into_iter().map(|transport| Self {
            method: Method::Invite,
            transport,
            ..self.clone()
        })
    }
}

/// Key of a client transaction. Branches are ours and random.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ClientKey {
    /// Branch with magic cookie.
    pub branch: Vec<u8>,
    /// Method of CSeq.
    pub method: Method,
}

impl ClientKey {
    /// Key of the transaction that a response answers.
    #[must_use]
    pub fn of(core: &CoreFields) -> Self {
        Self { branch: core.via.branch().to_vec(), method: core.cseq.method.clone() }
    }
}
