//! `release = { id, instances }` of an app: who serves until the journal knows better.

use swap_core::{Address, Release, ReleaseId};

use crate::resolve_instance;
use crate::table::Table;
use crate::value::Value;

/// So many instances a release may have.
const INSTANCES_MAX: usize = 256;
const INSTANCES: &str = r#"["127.0.0.1:3000"]"#;

/// `None` if the table is not there, or something in it is wrong.
pub(super) fn read(mut table: Table<'_>) -> Option<Release> {
    table.needs("id", r#""boot""#);
    table.needs("instances", INSTANCES);
    let id = table.value("id", r#""boot""#);
    let id: Option<ReleaseId> = id.parsed(str::parse);
    let instances = instances(table.value("instances", INSTANCES));
    table.end();
    let release = Release {
        id: id?,
        instances: instances?,
    };
    Some(release)
}

fn instances(value: Value<'_>) -> Option<Vec<Address>> {
    let is_list = matches!(value.raw()?, toml::de::DeValue::Array(_));
    let items = value.items(INSTANCES_MAX);
    if is_list && items.is_empty() {
        return value.wrong("needs at least one address");
    }
    let mut instances = Vec::new();
    for item in items {
        let Some(address) = instance(item) else {
            continue;
        };
        if instances.contains(&address) {
            let _: Option<()> = item.wrong(&format!("is there twice: {address}"));
            continue;
        }
        instances.push(address);
    }
    Some(instances)
}

fn instance(item: Value<'_>) -> Option<Address> {
    let resolved = item.parsed(resolve_instance)?;
    let (address, others) = (resolved.address, resolved.others);
    if others > 0 {
        item.warn(
            format!(
                "the name has {} addresses, of which only {address} is used",
                others + 1
            ),
            "one text is one instance: name each address",
        );
    }
    Some(address)
}
