//! The command line.

use clap::{CommandFactory, Parser, Subcommand};
use countersign::{
    Config, Overrides,
    commands::{
        self, Exit,
        backup::{BackupArgs, RestoreArgs},
        check::CheckArgs,
        client::{
            self, AuditArgs, ChangeSetsCommand, ContactsCommand, DnsConnectionsCommand, DomainConnectCommand,
            DomainsCommand, EmailsCommand, EventsArgs, KeysCommand, LoginArgs, OrganisationsCommand,
            ServerArgs, SetupLinksCommand, SuppressionsCommand, TenantsCommand, WebhooksCommand,
        },
        dns_hosts::DnsHostsArgs,
        doctor::DoctorArgs,
        explain::ExplainArgs,
        migrate_store::MigrateStoreArgs,
        owner_link::OwnerLinkArgs,
        root_keys::RootKeysCommand,
    },
    instance::StartError,
};
use std::{fmt::Write as _, io::Write, path::PathBuf, process::ExitCode};

/// Much is allocated for a moment: questions, answers, what is judged of them. `docs/decisions/0007-an-allocator-for-small-things.md`
/// has what this one saves.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// From a domain added to mail proven in the inbox.
#[derive(Parser)]
#[command(name = "countersign", version, about, after_help = EXAMPLES, arg_required_else_help = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  countersign dev                         the whole platform on this machine, to try and to build against
  countersign serve --config my.toml      the platform for a company and its customers
  countersign tour                        watch the main job run by itself
  countersign check example.com           what is wrong with a domain's mail records, and what to do";

const DOMAINS: &str = "\
Examples:
  countersign domains add mail.example.com
  countersign domains verify mail.example.com --watch
  countersign domains why mail.example.com

Exit codes, as those of check: 0 good, 1 refused or not verified, 2 wrong usage or no key,
3 no answer, or it could not be told.";

#[derive(Subcommand)]
enum Command {
    /// Run the whole platform on loopback, with playground DNS and sandbox inbox
    #[command(after_help = "\
Examples:
  countersign dev
  countersign dev --http 127.0.0.1:9000 --dns 127.0.0.1:9053
  countersign dev --data /tmp/try-it --log info,dns=debug")]
    Dev {
        #[command(flatten)]
        overrides: Overrides,
    },
    /// Run the platform for a company and its customers: over a mail relay, behind a proxy with TLS
    #[command(after_help = "\
Examples:
  countersign serve --config /etc/countersign.toml
  DATABASE_URL=postgres://countersign@db.example/countersign countersign serve --config a.toml
  countersign serve --platform-zone send.example.com --smtp-relay sandbox   to try it: no mail leaves

The configuration has to say platform_zone, smtp_relay and sender_addresses, and public_url where others than this
machine open the dashboard. `countersign config` shows what is in force.")]
    Serve {
        #[command(flatten)]
        overrides: Overrides,
    },
    /// Check a domain's mail records; needs no server and no account
    #[command(after_help = "\
Examples:
  countersign check example.com
  countersign check example.com --selector google --selector s1
  countersign check mail.acme.test --resolver 127.0.0.1:5300
  countersign check example.com --format json | jq .findings[].code
  countersign check example.com --watch --deadline 20m

For the records of one service, by profile, by template, or as its API shows them:
  countersign check mail.acme.test --profile two-txt --var token1=t1 \\
    --var key1=$PUBLIC_KEY --var platform=send.example.net
  countersign check example.com --template acme.mail.json --var token=abc
  curl -s -H \"Authorization: Bearer $KEY\" $CS/domains/$ID |
    countersign check --expect -

Many domains, one a line; where the second was stopped, --resume goes on:
  countersign check --from-file domains.txt
  countersign check --from-file domains.txt --output out.ndjson
  jq -r 'select(.verdict == \"unknown\").domain' out.ndjson |
    countersign check --from-file - --ndjson

Exit codes:
  0    good: all required records are right
  1    problems were found
  2    wrong usage: nothing was checked
  3    could not tell: DNS did not answer
Of a list: 0 all are good, 1 any has problems or is no domain, 3 some could not be told and the others are good,
130 stopped before its end.

Text has colours in a terminal, unless NO_COLOR is set.")]
    Check(CheckArgs),
    /// Make a report again from the DNS answers it was made of, with today's checks and words; asks nobody
    #[command(after_help = "\
Examples:
  countersign check example.com --format json > report.json
  countersign explain report.json
  countersign explain report.json --format markdown --verbose
  ssh there countersign check example.com --format json | countersign explain -

The exit codes are those of check: 0 good, 1 problems, 2 wrong usage or no report, 3 could not tell.")]
    Explain(ExplainArgs),
    /// Walk the main job against a private instance and print each step with its time
    #[command(
        after_help = "Example:\n  countersign tour\n\nExit codes: 0 every step did what it should, 1 one did not."
    )]
    Tour,
    /// Look whether the platform that runs here is in order: clock, disk, database, queues, its zone, ports, certificate
    #[command(after_help = "\
Examples:
  countersign doctor
  countersign doctor --config /etc/countersign.toml
  countersign doctor --at http://10.0.0.5:8082 --json | jq '.[] | select(.state != \"ok\")'

Asks the platform that runs with this configuration; --at another one's operator_http. The same is the page
/operator there.
Exit codes: 0 nothing has to be fixed, 1 something does not work, 2 wrong usage or no platform runs there.")]
    Doctor(DoctorArgs),
    /// Keys that are good in every organisation, made at the platform's machine; also while it runs
    #[command(after_help = "\
Examples:
  countersign root-keys create deploy --data /var/lib/countersign
  DATABASE_URL=postgres://countersign@db.example/countersign countersign root-keys list

Exit codes: 0 it is done, 2 it is not.")]
    RootKeys {
        #[command(subcommand)]
        command: RootKeysCommand,
    },
    /// A link for who cannot get in: the first owner, or a user without password or second factor; made at the platform's machine
    #[command(after_help = "\
Examples:
  countersign owner-link --data /var/lib/countersign
  countersign owner-link --email ann@example.com
  countersign owner-link --email ann@example.com --without-second-factor --config /etc/countersign.toml

Works while the platform runs, too. Exit codes: 0 here is the link, 2 there is none.")]
    OwnerLink(OwnerLinkArgs),
    /// Copy the SQLite database to a file, also while the platform runs
    #[command(after_help = "\
Examples:
  countersign backup --to /backups/countersign-$(date +%F).sqlite
  countersign backup --data /var/lib/countersign --to copy.sqlite

The copy has everything that was acknowledged before; the platform does not wait for it. The master key is not in it.
Exit codes: 0 the copy is there and was checked, 2 it is not.")]
    Backup(BackupArgs),
    /// Put a copy of the SQLite database into a data folder that has none; the platform must not run there
    #[command(after_help = "\
Examples:
  countersign restore copy.sqlite
  countersign restore copy.sqlite --data /var/lib/countersign

Exit codes: 0 it is restored, 2 it is not.")]
    Restore(RestoreArgs),
    /// Copy everything from the SQLite database to an empty PostgreSQL one; the platform must not run
    #[command(after_help = "\
Examples:
  createdb --encoding=UTF8 --template=template0 countersign
  DATABASE_URL=postgres://countersign@db.example/countersign countersign migrate-store
  countersign migrate-store --data /var/lib/countersign --to postgres:///countersign

All or nothing; the SQLite file stays as it is. Exit codes: 0 everything is there, 2 nothing was copied.")]
    MigrateStore(MigrateStoreArgs),
    /// Keep the address of a platform and an API key for the commands below
    #[command(after_help = "\
Examples:
  countersign login https://mail.example.com      public_url of the platform; asks for the key
  countersign login < countersign-data/api-key    the development instance on this machine

The key is kept in ~/.config/countersign/credentials.toml, for its owner only. COUNTERSIGN_URL and
COUNTERSIGN_API_KEY win over it. Exit codes: 0 the key is good, 2 it is refused, 3 no answer.")]
    Login(LoginArgs),
    /// Forget address and key
    #[command(after_help = "Example:\n  countersign logout")]
    Logout,
    /// Sender domains of a platform: add, verify, look at, delete
    #[command(after_help = DOMAINS)]
    Domains {
        #[command(flatten)]
        server: ServerArgs,
        #[command(subcommand)]
        command: DomainsCommand,
    },
    /// Messages of a platform: send, and see what became of them
    #[command(after_help = "\
Examples:
  countersign emails list
  countersign emails send --from me@mail.example.com --to you@example.org --subject Hello --text Hi --watch")]
    Emails {
        #[command(flatten)]
        server: ServerArgs,
        #[command(subcommand)]
        command: EmailsCommand,
    },
    /// API keys of a platform: make, rotate, revoke
    #[command(after_help = "\
Examples:
  countersign keys list
  countersign keys create billing --scope send:emails --scope read:domains")]
    Keys {
        #[command(flatten)]
        server: ServerArgs,
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// Tenants of a platform: your customers, by your own names
    #[command(after_help = "Examples:\n  countersign tenants list\n  countersign tenants add cust_12345")]
    Tenants {
        #[command(flatten)]
        server: ServerArgs,
        #[command(subcommand)]
        command: TenantsCommand,
    },
    /// Addresses that get no mail from a platform
    #[command(after_help = "\
Examples:
  countersign suppressions list
  countersign suppressions add someone@example.org --reason 'asked by phone'")]
    Suppressions {
        #[command(flatten)]
        server: ServerArgs,
        #[command(subcommand)]
        command: SuppressionsCommand,
    },
    /// Addresses that are told what happens at a platform
    #[command(after_help = "\
Examples:
  countersign webhooks create https://example.com/hook --event 'domain.*'
  countersign webhooks test whk_01JD0000000000000000000000
  countersign webhooks deliveries whk_01JD0000000000000000000000 --state failed
  countersign webhooks replay whk_01JD0000000000000000000000 --since 2h")]
    Webhooks {
        #[command(flatten)]
        server: ServerArgs,
        #[command(subcommand)]
        command: WebhooksCommand,
    },
    /// Pages for whoever runs a domain's DNS and has no account
    #[command(after_help = "\
Examples:
  countersign setup-links make mail.example.com --note 'the web agency'
  countersign setup-links list mail.example.com")]
    SetupLinks {
        #[command(flatten)]
        server: ServerArgs,
        #[command(subcommand)]
        command: SetupLinksCommand,
    },
    /// Changes at DNS hosts: shown, written, taken back
    #[command(after_help = "\
Examples:
  countersign change-sets list mail.example.com
  countersign change-sets apply chg_01JD0000000000000000000000 --host cloudflare --credential-stdin < token")]
    ChangeSets {
        #[command(flatten)]
        server: ServerArgs,
        #[command(subcommand)]
        command: ChangeSetsCommand,
    },
    /// Credentials of DNS hosts that are kept, because you said so
    #[command(after_help = "\
Examples:
  countersign dns-connections add --domain mail.example.com --host cloudflare < token
  countersign dns-connections list")]
    DnsConnections {
        #[command(flatten)]
        server: ServerArgs,
        #[command(subcommand)]
        command: DnsConnectionsCommand,
    },
    /// DNS hosts that records are written at: what each asks for, which rights suffice, what it was tried against
    #[command(after_help = "\
Examples:
  countersign dns-hosts
  countersign dns-hosts hetzner")]
    DnsHosts(DnsHostsArgs),
    /// Records added by the customer's DNS host itself (Domain Connect): templates for DNS hosts
    #[command(after_help = "\
Examples:
  countersign domain-connect template --profile three-cname
  countersign domains connect mail.example.com")]
    DomainConnect {
        #[command(flatten)]
        server: ServerArgs,
        #[command(subcommand)]
        command: DomainConnectCommand,
    },
    /// Whom a platform writes to before sending from a domain stops
    #[command(after_help = "\
Examples:
  countersign contacts list
  countersign contacts add dns@example.com
  countersign contacts add shop@example.com --domain mail.example.com")]
    Contacts {
        #[command(flatten)]
        server: ServerArgs,
        #[command(subcommand)]
        command: ContactsCommand,
    },
    /// Organisations of a platform, for those who run it: make, rename, switch off and on
    #[command(after_help = "\
Examples:
  countersign organisations list
  countersign organisations create Acme --owner ann@acme.example
  countersign domains list --organisation org_01JD0000000000000000000000

It takes a root key (`countersign root-keys create`, at the platform's machine), or an admin key of the organisation that
the platform began with.")]
    Organisations {
        #[command(flatten)]
        server: ServerArgs,
        #[command(subcommand)]
        command: OrganisationsCommand,
    },
    /// Who changed what at a platform, newest first
    #[command(after_help = "\
Examples:
  countersign audit
  countersign audit --subject mail.example.com
  countersign audit --actor key_01JD0000000000000000000000 --json")]
    Audit {
        #[command(flatten)]
        server: ServerArgs,
        #[command(flatten)]
        arguments: AuditArgs,
    },
    /// What happens at a platform, oldest first
    #[command(after_help = "\
Examples:
  countersign events --after latest --watch
  countersign events --types domain.verified,domain.failed --json")]
    Events {
        #[command(flatten)]
        server: ServerArgs,
        #[command(flatten)]
        arguments: EventsArgs,
    },
    /// Print what a shell needs to complete these commands
    #[command(after_help = "\
Examples:
  countersign completions bash > ~/.local/share/bash-completion/completions/countersign
  countersign completions zsh > \"${fpath[1]}/_countersign\"
  countersign completions fish > ~/.config/fish/completions/countersign.fish")]
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Print the configuration in force, and where each value comes from
    #[command(after_help = "\
Examples:
  countersign config
  COUNTERSIGN_KEY_POOL=100 countersign config

A file to start from:
  countersign config > my.toml
  countersign dev --config my.toml")]
    Config {
        #[command(flatten)]
        overrides: Overrides,
    },
    /// Write the files that are made from the code (for developers of Countersign)
    #[command(hide = true)]
    Generate {
        /// Write nothing; exit with 1 when a file differs
        #[arg(long)]
        check: bool,
        /// The repository's folder
        #[arg(long, default_value = ".")]
        root: PathBuf,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match CommandLine::try_parse() {
        Ok(command_line) => ExitCode::from(Box::pin(run(command_line.command)).await as u8),
        Err(error) => refused(&error),
    }
}

/// Says what is wrong with the arguments, or the help that was asked for. An argument is repeated without what a
/// terminal would obey: the message is that for arguments where this is taken out.
fn refused(error: &clap::Error) -> ExitCode {
    let harmless = std::env::args_os()
        .map(|argument| explain::shown::line(&argument.to_string_lossy(), usize::MAX))
        .collect::<Vec<String>>();
    if let Err(error) = CommandLine::try_parse_from(harmless) {
        error.exit()
    }
    // What was taken out was all that was wrong.
    let text = error.render().to_string();
    ExitCode::from(fail(&text.strip_prefix("error: ").unwrap_or(&text).trim_end()) as u8)
}

async fn run(command: Command) -> Exit {
    match command {
        Command::Dev { overrides } => platform(&overrides, commands::dev::run).await,
        Command::Serve { overrides } => platform(&overrides, commands::serve::run).await,
        Command::Check(arguments) => commands::check::run(&arguments).await,
        Command::Explain(arguments) => commands::explain::run(&arguments),
        Command::Tour => {
            commands::start_logging(&Config { log: "error".to_owned(), ..Config::default() });
            commands::tour::run().await
        }
        Command::Doctor(arguments) => commands::doctor::run(&arguments).await,
        Command::RootKeys { command } => commands::root_keys::run(&command).await,
        Command::OwnerLink(arguments) => commands::owner_link::run(&arguments).await,
        Command::Backup(arguments) => commands::backup::back_up(&arguments).await,
        Command::Restore(arguments) => commands::backup::restore(&arguments).await,
        Command::MigrateStore(arguments) => commands::migrate_store::run(&arguments).await,
        Command::Login(arguments) => client::login(&arguments).await,
        Command::Logout => client::logout(),
        Command::Domains { server, command } => client::domains(&server, &command).await,
        Command::Emails { server, command } => client::emails(&server, &command).await,
        Command::Keys { server, command } => client::keys(&server, &command).await,
        Command::Tenants { server, command } => client::tenants(&server, &command).await,
        Command::Suppressions { server, command } => client::suppressions(&server, &command).await,
        Command::Webhooks { server, command } => client::webhooks(&server, &command).await,
        Command::SetupLinks { server, command } => client::setup_links(&server, &command).await,
        Command::ChangeSets { server, command } => client::change_sets(&server, &command).await,
        Command::DnsConnections { server, command } => client::dns_connections(&server, &command).await,
        Command::DnsHosts(arguments) => commands::dns_hosts::run(&arguments),
        Command::DomainConnect { server, command } => client::domain_connect(&server, &command).await,
        Command::Contacts { server, command } => client::contacts(&server, &command).await,
        Command::Organisations { server, command } => client::organisations(&server, &command).await,
        Command::Audit { server, arguments } => client::audit(&server, &arguments).await,
        Command::Events { server, arguments } => client::events(&server, &arguments).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut CommandLine::command(), "countersign", &mut script);
            drop(std::io::stdout().lock().write_all(&script));
            Exit::Good
        }
        Command::Config { overrides } => match Config::describe(&overrides) {
            Ok(text) => {
                drop(std::io::stdout().lock().write_all(text.as_bytes()));
                Exit::Good
            }
            Err(error) => fail(&error),
        },
        Command::Generate { check, root } => commands::generate::run(&root, check, cli_reference()),
    }
}

/// The help of every command, as a page.
fn cli_reference() -> String {
    // A fixed width: the page must not depend on the terminal of whoever makes it.
    let mut command = CommandLine::command().term_width(100);
    let mut page = "# Command line\n\nMade from the code by `countersign generate`.\n".to_owned();
    let mut push = |name: &str, help: String| {
        let help = help.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
        let _ = write!(page, "\n## {name}\n\n```text\n{help}\n```\n");
    };
    push("countersign", command.render_long_help().to_string());
    // What is for all commands of a noun is said of each of them.
    command.build();
    let mut pending = vec![("countersign".to_owned(), command)];
    while let Some((parent, command)) = pending.pop() {
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
            let name = format!("{parent} {}", sub.get_name());
            let mut sub = sub.clone().term_width(100).bin_name(name.clone());
            push(&name, sub.render_long_help().to_string());
            pending.push((name, sub));
        }
    }
    page
}

/// A platform that runs until it is told to stop.
async fn platform(overrides: &Overrides, run: impl AsyncFnOnce(&Config) -> Result<(), StartError>) -> Exit {
    let config = match Config::load(overrides) {
        Ok(config) => config,
        Err(error) => return fail(&error),
    };
    commands::start_logging(&config);
    match run(&config).await {
        Ok(()) => Exit::Good,
        Err(error) => fail(&error),
    }
}

fn fail(error: &dyn std::fmt::Display) -> Exit {
    commands::show::fail(&error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_well_formed_and_has_examples() {
        CommandLine::command().debug_assert();
        let mut pending = vec![CommandLine::command()];
        while let Some(parent) = pending.pop() {
            for command in parent.get_subcommands().filter(|command| !command.is_hide_set()) {
                assert!(command.get_after_help().is_some(), "{} has no examples", command.get_name());
                pending.push(command.clone());
            }
        }
    }
}
