//! The files that take a generated app elsewhere, of every type, against the shape of their formats: Dockerfile (reference of
//! Docker Engine 24), Compose (compose-spec, 2023), systemd units (systemd.exec and .socket of version 252), as far as these
//! use them. A key, an instruction or a directive that is not in the tables here is an error, so that a misspelt one is.

use callwright::apphost::bundle::Files;
use callwright::pipeline::kernel;
use callwright::pipeline::manifest::{BuildManifest, BuildType, CreatedFrom};
use callwright::pipeline::spec::Spec;
use serde_json::{Map, Value, json};
use std::process::Command;

fn bundles() -> Vec<(Spec, Files)> {
    let types = BuildType::ALL.into_iter().filter(|build_type| build_type.is_buildable());
    types
        .map(|build_type| {
            let manifest = BuildManifest {
                manifest_id: "m1".into(),
                build_type,
                title: "Harbour: #1 \"50%\"".into(),
                description: "Everything for the harbour's people.".into(),
                features: vec![],
                tech_stack: vec![],
                constraints: Map::new(),
                integrations: vec![],
                conversation_id: "c".into(),
                created_from: CreatedFrom::Api,
                confidence: 1.0,
                metadata: Map::new(),
            };
            let spec = Spec::compose(&manifest);
            let kernels = kernel::all();
            let kernel = kernels.iter().find(|k| k.can(build_type, kernel::Capability::Frontend)).unwrap();
            let files = kernel.generate(&manifest, &spec).unwrap();
            (spec, files)
        })
        .collect()
}

fn text<'a>(files: &'a Files, path: &str) -> &'a str {
    let file = files.get(path).unwrap_or_else(|| panic!("there is no {path}: {:?}", files.keys().collect::<Vec<_>>()));
    std::str::from_utf8(file).unwrap()
}

/// Block mappings, block sequences of scalars, flow sequences and mappings without nesting: what a Compose file needs.
fn yaml(text: &str) -> Value {
    let lines: Vec<(usize, &str)> = text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
        .map(|line| (line.len() - line.trim_start().len(), line.trim()))
        .collect();
    assert!(!text.contains('\t'), "YAML has no tabs");
    let (value, rest) = block(&lines);
    assert!(rest.is_empty(), "not read: {rest:?}");
    value
}

fn block<'a, 'b>(lines: &'b [(usize, &'a str)]) -> (Value, &'b [(usize, &'a str)]) {
    let indent = lines[0].0;
    let (mut map, mut list, mut rest) = (Map::new(), Vec::new(), lines);
    while let Some((at, line)) = rest.first().filter(|(at, _)| *at >= indent) {
        assert_eq!(*at, indent, "indentation of {line:?}");
        if let Some(item) = line.strip_prefix("- ") {
            list.push(scalar(item));
            rest = &rest[1..];
            continue;
        }
        let (key, value) = line.split_once(':').unwrap_or_else(|| panic!("no key in {line:?}"));
        rest = &rest[1..];
        let value = match (value.trim(), rest.first()) {
            ("", Some((deeper, _))) if *deeper > indent => {
                let (value, after) = block(rest);
                rest = after;
                value
            }
            (value, _) => scalar(value),
        };
        assert!(map.insert(key.to_owned(), value).is_none(), "{key} stands twice");
    }
    assert!(map.is_empty() || list.is_empty(), "a mapping and a sequence in one");
    (if list.is_empty() { Value::Object(map) } else { Value::Array(list) }, rest)
}

fn scalar(text: &str) -> Value {
    match text {
        "" | "~" | "null" => Value::Null,
        "true" => json!(true),
        "false" => json!(false),
        "{}" => json!({}),
        _ if text.starts_with('"') => serde_json::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}")),
        _ if text.starts_with('[') => {
            let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or_else(|| panic!("{text}"));
            Value::Array(inner.split(',').map(|item| scalar(item.trim())).collect())
        }
        _ => {
            let plain = !text.contains(": ")
                && !text.contains(" #")
                && !text.starts_with(['{', '&', '*', '!', '%', '@', '`', '\'']);
            assert!(plain, "{text:?} needs quotes");
            text.parse::<i64>().map_or_else(|_| json!(text), |number| json!(number))
        }
    }
}

fn is_port(text: &str) -> bool {
    let parts: Vec<&str> = text.rsplitn(3, ':').collect();
    let address = parts.get(2).is_none_or(|address| address.parse::<std::net::IpAddr>().is_ok());
    address && (1..=3).contains(&parts.len()) && parts.iter().take(2).all(|p| p.parse::<u16>().is_ok_and(|p| p > 0))
}

fn strings<'a>(value: &'a Value, of: &str) -> Vec<&'a str> {
    let list = value.as_array().unwrap_or_else(|| panic!("{of} is a list, not {value}"));
    list.iter().map(|item| item.as_str().unwrap_or_else(|| panic!("{of} holds strings, not {item}"))).collect()
}

fn check_compose(file: &str, dockerfile_ports: &[u16]) {
    let document = yaml(file);
    let top = document.as_object().unwrap();
    assert!(top.keys().all(|key| ["name", "services", "volumes", "networks"].contains(&key.as_str())), "{top:?}");
    let volumes = top.get("volumes").and_then(Value::as_object).cloned().unwrap_or_default();
    let services = top["services"].as_object().unwrap();
    assert!(!services.is_empty());
    for (name, service) in services {
        let is_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        assert!(!name.is_empty() && name.chars().all(is_name), "{name} is no name of a service");
        let service = service.as_object().unwrap();
        assert!(service.contains_key("build") || service.contains_key("image"), "{name} has no image");
        for (key, value) in service {
            match key.as_str() {
                "build" => {
                    let build = value.as_object().unwrap();
                    assert!(
                        build.keys().all(|key| ["context", "dockerfile", "args", "target"].contains(&key.as_str()))
                    );
                    assert!(build.values().all(Value::is_string), "{build:?}");
                }
                "image" | "user" | "working_dir" => assert!(value.is_string(), "{key}: {value}"),
                "ports" => {
                    for port in strings(value, key) {
                        assert!(is_port(port), "{port:?} publishes nothing");
                        let inner = port.rsplit(':').next().and_then(|p| p.parse().ok()).unwrap();
                        assert!(dockerfile_ports.contains(&inner), "nobody listens on {inner}");
                    }
                }
                "volumes" => {
                    for volume in strings(value, key) {
                        let (source, target) = volume.split_once(':').unwrap();
                        assert!(target.starts_with('/'), "{volume}");
                        let known = source.starts_with(['.', '/']) || volumes.contains_key(source);
                        assert!(known, "the volume {source} is declared nowhere");
                    }
                }
                "read_only" | "init" | "privileged" => assert!(value.is_boolean(), "{key}: {value}"),
                "cap_drop" | "cap_add" | "security_opt" | "tmpfs" => drop(strings(value, key)),
                "restart" => {
                    let known = ["no", "always", "on-failure", "unless-stopped"];
                    assert!(value.as_str().is_some_and(|value| known.contains(&value)), "restart: {value}");
                }
                _ => panic!("{key} is no key of a service here"),
            }
        }
        assert_ne!(service.get("privileged"), Some(&json!(true)));
    }
    assert!(volumes.values().all(|volume| volume.is_null() || volume.is_object()), "{volumes:?}");
}

/// Ports that it exposes.
fn check_dockerfile(file: &str, flags: &str) -> Vec<u16> {
    let lines: Vec<&str> = file.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).collect();
    assert!(lines[0].starts_with("FROM "), "{}", lines[0]);
    let (mut ports, mut user, mut entry) = (Vec::new(), "", Vec::new());
    for line in lines {
        let (instruction, rest) = line.split_once(' ').unwrap_or_else(|| panic!("{line}"));
        match instruction {
            "FROM" => assert!(rest.contains(':') && !rest.ends_with(":latest"), "{rest} is not pinned"),
            "COPY" => {
                let words: Vec<&str> = rest.split_whitespace().collect();
                assert!(words.len() == 2 && words[1].starts_with('/') && !words[0].contains(".."), "{line}");
            }
            "RUN" => assert!(!rest.trim().is_empty()),
            "USER" => user = rest,
            "VOLUME" => assert!(rest.starts_with('/'), "{line}"),
            "EXPOSE" => ports.extend(rest.split_whitespace().map(|p| p.parse::<u16>().unwrap())),
            "ENTRYPOINT" => entry = serde_json::from_str::<Vec<String>>(rest).unwrap_or_else(|e| panic!("{line}: {e}")),
            _ => panic!("{instruction} is no instruction here"),
        }
    }
    assert!(user.split(':').all(|id| id.parse::<u32>().is_ok_and(|id| id > 0)), "it runs as {user:?}");
    assert!(entry[0].starts_with('/'), "{entry:?}");
    check_arguments(&entry[1..].iter().map(String::as_str).collect::<Vec<_>>(), flags);
    let listens = entry.iter().find_map(|word| word.parse::<std::net::SocketAddr>().ok()).unwrap();
    assert!(ports.contains(&listens.port()), "{listens} is not among {ports:?}");
    ports
}

/// `apphost` with arguments that it knows.
fn check_arguments(words: &[&str], flags: &str) {
    assert_eq!(words[0], "apphost");
    for flag in words.iter().filter(|word| word.starts_with("--")) {
        assert!(flags.contains(&format!("{flag} ")), "apphost does not know {flag}");
    }
}

fn check_unit(file: &str, sections: &[(&str, &[&str])], flags: &str) {
    let mut section = "";
    for line in file.lines().filter(|line| !line.is_empty() && !line.starts_with(['#', ';'])) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name;
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("{line}"));
        let known = sections.iter().find(|(name, _)| *name == section).unwrap_or_else(|| panic!("[{section}]"));
        assert!(known.1.contains(&key), "[{section}] {key} is no directive here");
        assert!(!value.contains('%') || value.contains("%%"), "{line}: a specifier nobody meant");
        match key {
            "ExecStart" => {
                let words: Vec<&str> = value.split_whitespace().collect();
                assert!(words[0].starts_with('/'), "{value}");
                check_arguments(&words[1..], flags);
            }
            "ListenStream" => assert!(value.parse::<std::net::SocketAddr>().is_ok(), "{value}"),
            "MemoryMax" => assert!(value.trim_end_matches(['K', 'M', 'G']).parse::<u32>().is_ok(), "{value}"),
            "StateDirectoryMode" => assert!(u32::from_str_radix(value, 8).is_ok(), "{value}"),
            _ if value == "yes" || value == "no" => {}
            "NoNewPrivileges" | "DynamicUser" | "PrivateTmp" | "PrivateDevices" => {
                panic!("{line} is neither yes nor no")
            }
            "ProtectSystem" => assert!(["strict", "full"].contains(&value), "{value}"),
            _ => {}
        }
    }
}

#[test]
fn what_takes_an_app_elsewhere_has_the_shape_of_its_format() {
    let help = Command::new(env!("CARGO_BIN_EXE_callwright")).args(["apphost", "--", "--help"]).output().unwrap();
    let flags = String::from_utf8_lossy(&help.stdout).replace('\n', " \n");
    for (spec, files) in bundles() {
        let ports = check_dockerfile(text(&files, "deploy/Dockerfile"), &flags);
        check_compose(text(&files, "deploy/compose.yaml"), &ports);
        let find = |tail: &str| files.keys().find(|path| path.starts_with("deploy/") && path.ends_with(tail)).unwrap();
        let unit: (&str, &[&str]) = ("Unit", &["Description", "Requires", "After"]);
        let service: (&str, &[&str]) = (
            "Service",
            &[
                "ExecStart",
                "StateDirectory",
                "StateDirectoryMode",
                "DynamicUser",
                "NoNewPrivileges",
                "ProtectSystem",
                "ProtectHome",
                "PrivateTmp",
                "PrivateDevices",
                "CapabilityBoundingSet",
                "RestrictNamespaces",
                "MemoryMax",
                "TasksMax",
            ],
        );
        check_unit(text(&files, find(".service")), &[unit, service], &flags);
        let socket: [(&str, &[&str]); 3] = [unit, ("Socket", &["ListenStream"]), ("Install", &["WantedBy"])];
        check_unit(text(&files, find(".socket")), &socket, &flags);
        assert!(text(&files, find(".service")).contains(&format!("{}.socket", spec.slug)));
    }
}

#[test]
fn what_is_wrong_is_found() {
    let good = "services:\n  a:\n    image: b:1\n    ports:\n      - \"127.0.0.1:80:80\"\n    volumes:\n      - data:/srv\nvolumes:\n  data: {}\n";
    check_compose(good, &[80]);
    for (from, to) in [
        ("image:", "imgae:"),
        ("image: b:1", "restart: always"),
        ("127.0.0.1:80:80", "127.0.0.1:80:800000"),
        ("127.0.0.1:80:80", "127.0.0.1:80:81"),
        ("data:/srv", "date:/srv"),
        ("volumes:\n  data", "volumse:\n  data"),
        ("    image", "   image"),
    ] {
        assert!(good.contains(from), "{from}");
        let bad = good.replacen(from, to, 1);
        assert!(std::panic::catch_unwind(|| check_compose(&bad, &[80])).is_err(), "{bad}");
    }
}
