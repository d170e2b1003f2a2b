use super::*;

#[test]
#[expect(clippy::result_large_err, reason = "the error of figment's test harness")]
fn later_sources_win_and_are_named() {
    figment::Jail::expect_with(|jail| {
        jail.create_file("countersign.toml", "http = \"127.0.0.1:9000\"\nkey_pool = 7\n")?;
        jail.set_env("COUNTERSIGN_KEY_POOL", "9");
        let overrides = Overrides { dns: Some("127.0.0.1:5399".parse().unwrap()), ..Overrides::default() };
        let config = Config::load(&overrides).unwrap();
        assert_eq!((config.http.port(), config.key_pool, config.dns.port()), (9000, 9, 5399));
        let shown = Config::describe(&overrides).unwrap();
        let source = |key: &str| {
            let line = shown.lines().find(|line| line.starts_with(key)).unwrap();
            line.rsplit("# ").next().unwrap().to_owned()
        };
        assert_eq!(
            [source("http"), source("key_pool"), source("dns"), source("smtp")],
            ["file", "environment", "flag", "default"]
        );
        Ok(())
    });
}

#[test]
#[expect(clippy::result_large_err, reason = "the error of figment's test harness")]
fn mistakes_are_named() {
    figment::Jail::expect_with(|jail| {
        jail.create_file("countersign.toml", "htpp = \"127.0.0.1:9000\"\n")?;
        let overrides = Overrides::default();
        let error = Config::load(&overrides).unwrap_err().to_string();
        assert!(
            error.contains("htpp")
                && error.contains("countersign.toml")
                && error.contains("did you mean \"http\"?"),
            "{error}"
        );
        jail.create_file("countersign.toml", "")?;
        jail.set_env("COUNTERSIGN_LEASE_SECOND", "9");
        let error = Config::load(&overrides).unwrap_err().to_string();
        assert!(
            error.contains("COUNTERSIGN_LEASE_SECOND in") && error.contains("\"lease_seconds\"?"),
            "{error}"
        );
        Ok(())
    });
}

#[test]
#[expect(clippy::result_large_err, reason = "the error of figment's test harness")]
fn what_is_like_no_setting_is_told_where_all_are_listed() {
    figment::Jail::expect_with(|jail| {
        jail.create_file("countersign.toml", "colour = \"red\"\n")?;
        let error = Config::load(&Overrides::default()).unwrap_err().to_string();
        assert!(error.contains("colour") && error.contains("`countersign config` lists"), "{error}");
        Ok(())
    });
}

#[test]
#[expect(clippy::result_large_err, reason = "the error of figment's test harness")]
fn the_public_pages_listen_where_they_are_told_or_nowhere() {
    figment::Jail::expect_with(|jail| {
        let load = || Config::load(&Overrides::default()).map(|config| config.public_http().unwrap());
        assert!(load().unwrap().unwrap().ip().is_loopback());
        jail.set_env("COUNTERSIGN_PUBLIC_HTTP", "0.0.0.0:8443");
        jail.set_env("COUNTERSIGN_TRUSTED_PROXIES", "[\"10.0.0.1\"]");
        assert_eq!(load().unwrap(), Some("0.0.0.0:8443".parse().unwrap()));
        jail.set_env("COUNTERSIGN_PUBLIC_HTTP", "");
        assert_eq!(load().unwrap(), None);
        jail.set_env("COUNTERSIGN_CHECK_RESOLVERS", "[\"9.9.9.9\", \"127.0.0.1:5300\"]");
        let named = Config::load(&Overrides::default()).unwrap().check_resolvers().unwrap();
        assert_eq!(named.iter().map(SocketAddr::port).collect::<Vec<_>>(), [53, 5300]);
        jail.set_env("COUNTERSIGN_CHECK_RESOLVERS", "[\"dns.example\"]");
        assert!(load().unwrap_err().to_string().contains("check_resolvers"));
        jail.set_env("COUNTERSIGN_CHECK_RESOLVERS", "[]");
        jail.set_env("COUNTERSIGN_PUBLIC_HTTP", "nowhere");
        assert!(load().unwrap_err().to_string().contains("public_http"));
        Ok(())
    });
}

#[test]
#[expect(clippy::result_large_err, reason = "the error of figment's test harness")]
fn the_database_is_chosen_by_its_address_and_its_password_is_not_shown() {
    figment::Jail::expect_with(|jail| {
        let none = Overrides::default();
        jail.set_env("DATABASE_URL", "postgres://u:hush@db.example/one");
        let config = Config::load(&none).unwrap();
        assert_eq!(config.postgres().unwrap(), Some("postgres://u:hush@db.example/one"));
        let shown = Config::describe(&none).unwrap();
        assert!(!shown.contains("hush"), "{shown}");
        assert!(shown.contains("database_url = \"(set, not shown)\""), "{shown}");
        jail.set_env("COUNTERSIGN_DATABASE_URL", "mysql://u:hush@db.example/two");
        let error = Config::load(&none).unwrap_err().to_string();
        assert!(error.contains("database_url") && !error.contains("hush"), "{error}");
        let flag = Overrides { database_url: Some(String::new()), ..Overrides::default() };
        assert_eq!(Config::load(&flag).unwrap().postgres().unwrap(), None);
        Ok(())
    });
}

#[test]
#[expect(clippy::result_large_err, reason = "the error of figment's test harness")]
fn the_provider_of_logins_is_a_table_and_its_secret_is_not_shown() {
    figment::Jail::expect_with(|jail| {
        jail.create_file(
            "countersign.toml",
            "[oidc]\nissuer = \"https://login.example.com\"\nclient_id = \"us\"\nallowed_domains = [\"acme.example\"]\n",
        )?;
        jail.set_env("COUNTERSIGN_OIDC__CLIENT_SECRET", "hush");
        let none = Overrides::default();
        let oidc = Config::load(&none).unwrap().oidc;
        assert_eq!((&*oidc.issuer, &*oidc.client_secret), ("https://login.example.com", "hush"));
        let shown = Config::describe(&none).unwrap();
        assert!(!shown.contains("hush"), "{shown}");
        let lines: Vec<_> =
            shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert!(lines.contains(&"[oidc]".to_owned()), "{shown}");
        assert!(lines.contains(&"client_id = \"us\" # file".to_owned()), "{shown}");
        assert!(lines.contains(&"client_secret = \"(set, not shown)\" # environment".to_owned()), "{shown}");
        // What is printed can be read again.
        jail.create_file("countersign.toml", &shown.replace("(set, not shown)", "hush"))?;
        assert_eq!(Config::load(&none).unwrap().oidc, oidc);
        Ok(())
    });
}

#[test]
#[expect(clippy::result_large_err, reason = "the error of figment's test harness")]
fn the_collector_is_set_as_everywhere_and_its_headers_are_not_shown() {
    figment::Jail::expect_with(|jail| {
        let none = Overrides::default();
        assert!(Config::load(&none).unwrap().collector().unwrap().is_none());
        jail.set_env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
        jail.set_env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20hush");
        jail.set_env("OTEL_TRACES_SAMPLER_ARG", "0.25");
        let config = Config::load(&none).unwrap();
        assert_eq!((config.otlp_endpoint.as_str(), config.trace_ratio), ("http://127.0.0.1:4318", 0.25));
        assert!(config.collector().unwrap().is_some());
        let shown = Config::describe(&none).unwrap();
        assert!(!shown.contains("hush") && shown.contains("otlp_headers = \"(set, not shown)\""), "{shown}");
        // Ours comes first.
        jail.set_env("COUNTERSIGN_OTLP_ENDPOINT", "");
        assert!(Config::load(&none).unwrap().collector().unwrap().is_none());
        jail.set_env("COUNTERSIGN_OTLP_HEADERS", "hush");
        let error = Config::load(&none).unwrap_err().to_string();
        assert!(error.contains("otlp_headers") && !error.contains("hush"), "{error}");
        jail.set_env("COUNTERSIGN_OTLP_HEADERS", "");
        jail.set_env("COUNTERSIGN_TRACE_RATIO", "2");
        assert!(Config::load(&none).unwrap_err().to_string().contains("trace_ratio"));
        jail.set_env("COUNTERSIGN_TRACE_RATIO", "1");
        jail.set_env("COUNTERSIGN_LOG_FORMAT", "jsn");
        assert!(Config::load(&none).unwrap_err().to_string().contains("log_format"));
        Ok(())
    });
}

#[test]
fn master_keys_are_64_hexadecimal_digits() {
    assert_eq!(parse_key(&"0f".repeat(32)), Some([15; 32]));
    assert_eq!(parse_key("0f"), None);
    assert_eq!(parse_key(&"ä".repeat(32)), None);
}
