//! What the operator decides, as the use cases need it.

use crate::domain_state::Rules;
use diagnosis::{
    Plan, Profile, Variables,
    inquiry::{Policy, is_public},
};
use model::DomainName;
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// The platform's settings. Read once, by the composition root.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where browsers reach the dashboard, such as `https://mail.example.com`: what links in messages begin with.
    pub public_url: String,
    /// The zone that our DNS server serves keys, SPF include and bounce hosts in.
    pub platform_zone: DomainName,
    /// The name servers of the platform zone; the first is the one that its SOA record names.
    pub name_servers: Vec<NameServer>,
    /// Where the feedback host can be reached, and our name server where nothing else is said.
    pub public_addresses: Vec<IpAddr>,
    /// The addresses that our mail leaves from; they make up the SPF include.
    pub sender_addresses: Vec<IpAddr>,
    /// The certificate authority that issues for tracking hosts, as CAA records name it; `None` where the operator did
    /// not say. A profile that names one of its own wins.
    pub certificate_authority: Option<String>,
    /// Where DMARC reports of customers' domains are sent.
    pub dmarc_mailbox: String,
    /// The profile of a domain that is added without naming one.
    pub default_profile: String,
    /// All profiles.
    pub profiles: Vec<Profile>,
    /// Whom to ask about DNS, and how far to go.
    pub policy: Policy,
    /// The same for checks of any domain, which strangers may ask for.
    pub check_policy: Policy,
    /// For how long work is claimed: what a node that died had in hand is taken up by another one after so long.
    pub lease: Duration,
    /// Whether webhooks may be at addresses of this machine and of private networks, and without TLS: for development.
    pub private_webhook_targets: bool,
    /// Where the APIs of DNS hosts are, by their ids, where that is not the usual place: for tests, and where requests leave
    /// by a proxy of the operator's.
    pub dns_host_apis: std::collections::BTreeMap<String, String>,
    /// Under which names DNS hosts know our templates (Domain Connect).
    pub domain_connect: crate::domain_connect::DomainConnect,
    /// Where accepted mail is handed over.
    pub transport: Transport,
    /// Where our own SMTP listener is, which takes mail into the sandbox inbox.
    pub inbox: SocketAddr,
    /// Whether the SMTP listener takes mail from anybody for anybody, as the sandbox inbox of a development instance;
    /// else only what goes with a message that was sent here: its bounces, and itself where nothing leaves.
    pub open_inbox: bool,
    /// How our SMTP client and listener call themselves.
    pub smtp_hostname: DomainName,
    /// How many DKIM keys are made in advance.
    pub key_pool: usize,
    /// After how many days, on average, keys behind aliases are rotated; 0 for never by themselves.
    pub rotate_days: u32,
    /// When the private parts of keys that were replaced are told to the world.
    pub retired_keys: crate::retired_keys::Telling,
    /// Whether there are playground zones.
    pub playground: bool,
    /// Where the DNS host of the playground answers by itself, at the port of our own server. `None` where one server has to do
    /// for both, which cannot delegate a zone to itself.
    pub playground_host: Option<IpAddr>,
    /// The largest message, in bytes of MIME.
    pub max_message_size: usize,
    /// The most messages that a domain which is warming up may send a day; one at least.
    pub warmup_daily_limit: u64,
    /// How long a domain that broke goes on sending, and how rarely one that is right is looked at.
    pub life_cycle: Rules,
    /// How many checks of any domain one client may ask for in a minute.
    pub checks_per_minute: u32,
    /// How often one key may call.
    pub request_limits: crate::limits::RequestLimits,
    /// For how long events, deliveries to webhooks and the audit log are kept.
    pub keep: crate::sweep::Keep,
    /// How many messages, and how many bytes of them, the sandbox inbox keeps.
    pub sandbox_limits: store::SandboxLimits,
}

/// A name server of the platform zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameServer {
    /// Its name.
    pub name: DomainName,
    /// Where it can be reached; may be empty where its name is in another zone.
    pub addresses: Vec<IpAddr>,
    /// Whether it is another program that gets the platform zone from here: it does not serve zones delegated to us.
    pub follows: bool,
}

/// Where accepted mail is handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// All mail goes to the sandbox inbox's SMTP listener, whatever its recipient.
    Sandbox(SocketAddr),
    /// All mail goes to one server, which brings it on.
    Relay {
        /// Its name or address; a name is looked up for each message.
        host: String,
        /// Its port.
        port: u16,
        /// Whether the session is encrypted.
        tls: RelayTls,
    },
}

/// Whether a session with the relay is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayTls {
    /// Always, with a certificate for the relay's name.
    Required,
    /// When it offers that, whatever its certificate.
    Opportunistic,
    /// Never.
    None,
}

impl Settings {
    /// The name server that the SOA record of the platform zone names.
    pub fn first_name_server(&self) -> &DomainName {
        self.name_servers.first().map_or(&self.platform_zone, |server| &server.name)
    }

    /// The name servers that a zone is delegated to whose token this is: names that lead to those of the platform zone. What
    /// was delegated to names with another token proves nothing.
    pub fn name_servers_of(&self, token: &str) -> Vec<DomainName> {
        self.zone_servers().filter_map(|server| server.name.prepend(token).ok()).collect()
    }

    /// The name servers that serve delegated zones: those with a name in the platform zone that are none that others run
    /// after it.
    pub(crate) fn zone_servers(&self) -> impl Iterator<Item = &NameServer> {
        let is_ours = |server: &&NameServer| {
            server.name.is_below(&self.platform_zone) && !server.addresses.is_empty() && !server.follows
        };
        self.name_servers.iter().filter(is_ours)
    }

    /// Whether a zone can be delegated to us: in a playground only where its DNS host is another server than ours.
    pub fn can_be_delegated_to(&self) -> bool {
        !self.playground || self.playground_host.is_some()
    }

    /// The profiles whose domains are zones that are delegated to us.
    pub(crate) fn delegated_profiles(&self) -> impl Iterator<Item = &Profile> {
        self.profiles.iter().filter(|profile| profile.delegated.is_some())
    }

    /// A profile by name.
    pub fn profile(&self, name: &str) -> Option<&Profile> {
        self.profiles.iter().find(|profile| profile.name == name)
    }

    /// The zone that holds the keys: `dkim.<platform zone>`.
    pub fn dkim_zone(&self) -> String {
        format!("dkim.{}", self.platform_zone)
    }

    /// A host of the platform zone.
    pub fn platform_host(&self, label: &str) -> String {
        format!("{label}.{}", self.platform_zone)
    }

    /// The plan with what is the platform's own: who sends, and who issues certificates.
    pub fn of_platform(&self, plan: Plan) -> Plan {
        let certificate_authority = plan.certificate_authority.or_else(|| self.certificate_authority.clone());
        Plan { certificate_authority, senders: self.visible_senders(), ..plan }
    }

    /// Whose reverse DNS is looked at with every domain: our sending servers, as far as receivers can see them. (An
    /// address of a private network, as in development, has no name that anybody else could look up.)
    pub fn visible_senders(&self) -> Vec<IpAddr> {
        let mut senders: Vec<IpAddr> = Vec::new();
        for address in self.sender_addresses.iter().map(IpAddr::to_canonical) {
            if is_public(address) && !senders.contains(&address) {
                senders.push(address);
            }
        }
        senders
    }

    /// The profile variables that do not depend on the domain.
    pub fn variables(&self) -> Variables {
        [("platform", self.platform_zone.to_string()), ("dmarcrua", self.dmarc_mailbox.clone())]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
}
