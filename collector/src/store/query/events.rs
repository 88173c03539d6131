//! Events by filter, newest first or from a cursor on.

use rusqlite::{Connection, Row, ToSql};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{StoreError, stored_json};
use crate::{clock::rfc3339_from_ms, store::Store};

/// Every part that is set must hold.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Ids below this one.
    pub before: Option<i64>,
    /// Ids above this one; the oldest of them come first.
    pub after: Option<i64>,
    /// Time of the event, milliseconds since the Unix epoch: from, inclusive, and until, exclusive.
    pub since_ms: Option<i64>,
    pub until_ms: Option<i64>,
    /// Host id or host name.
    pub host: Option<String>,
    pub verdict: Option<String>,
    /// Authority or address of the server.
    pub server: Option<String>,
    pub method: Option<String>,
    /// Text that occurs in one of the columns a person would look at; ASCII letters match in either case.
    pub text: Option<String>,
    pub limit: u32,
}

#[derive(Debug, Serialize)]
pub struct EventView {
    /// Cursor; counts up in the order in which the collector stored events.
    pub id: i64,
    pub host: String,
    pub hostname: String,
    /// RFC 3339.
    pub received: String,
    pub time: String,
    /// As it came, `gnomon.v1.Event`.
    pub event: Box<RawValue>,
}

const SELECT: &str = "SELECT e.id, e.host, coalesce(h.hostname, ''), e.received_ms, e.time_ns, b.json
    FROM event e JOIN event_body b ON b.event = e.id LEFT JOIN host h ON h.id = e.host WHERE 1";

/// Columns that a person sees in the table.
const SEARCH: &str =
    "(e.method LIKE ? ESCAPE '\\' OR e.tool LIKE ? ESCAPE '\\' OR e.server_host LIKE ? ESCAPE '\\'
    OR e.server_address LIKE ? ESCAPE '\\' OR e.exe LIKE ? ESCAPE '\\' OR e.user LIKE ? ESCAPE '\\'
    OR e.rule LIKE ? ESCAPE '\\' OR e.note LIKE ? ESCAPE '\\' OR h.hostname LIKE ? ESCAPE '\\'
    OR e.kind LIKE ? ESCAPE '\\' OR e.verdict LIKE ? ESCAPE '\\')";

impl Store {
    /// Newest first; with [`EventFilter::after`], oldest first.
    pub async fn events(&self, filter: EventFilter) -> Result<Vec<EventView>, StoreError> {
        self.read(move |connection| select(connection, &filter)).await
    }

    pub async fn event(&self, id: i64) -> Result<Option<EventView>, StoreError> {
        let filter =
            EventFilter { after: Some(id - 1), before: Some(id + 1), limit: 1, ..EventFilter::default() };
        Ok(self.events(filter).await?.pop())
    }
}

fn select(connection: &Connection, filter: &EventFilter) -> Result<Vec<EventView>, StoreError> {
    let since_ns = filter.since_ms.map(|ms| ms.saturating_mul(1_000_000));
    let until_ns = filter.until_ms.map(|ms| ms.saturating_mul(1_000_000));
    let like = filter.text.as_deref().map(contains);

    let conditions: [(&str, Option<&dyn ToSql>); 9] = [
        ("e.id < ?", sql_value(&filter.before)),
        ("e.id > ?", sql_value(&filter.after)),
        ("e.time_ns >= ?", sql_value(&since_ns)),
        ("e.time_ns < ?", sql_value(&until_ns)),
        ("e.host IN (SELECT id FROM host WHERE id = ? OR hostname = ?)", sql_value(&filter.host)),
        ("e.verdict = ?", sql_value(&filter.verdict)),
        ("(e.server_host = ? OR e.server_address = ?)", sql_value(&filter.server)),
        ("e.method = ?", sql_value(&filter.method)),
        (SEARCH, sql_value(&like)),
    ];
    let mut sql = SELECT.to_owned();
    let mut values: Vec<&dyn ToSql> = Vec::new();
    for (condition, value) in conditions {
        if let Some(value) = value {
            values.push(value);
            sql.push_str(" AND ");
            sql.push_str(&condition.replace('?', &format!("?{}", values.len())));
        }
    }
    sql.push_str(if filter.after.is_some() { " ORDER BY e.id" } else { " ORDER BY e.id DESC" });
    let limit = i64::from(filter.limit);
    values.push(&limit);
    sql.push_str(&format!(" LIMIT ?{}", values.len()));

    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(values.as_slice(), view)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn sql_value<T: ToSql>(value: &Option<T>) -> Option<&dyn ToSql> {
    value.as_ref().map(|v| v as &dyn ToSql)
}

fn view(row: &Row<'_>) -> Result<EventView, rusqlite::Error> {
    let time_ns: i64 = row.get(4)?;
    Ok(EventView {
        id: row.get(0)?,
        host: row.get(1)?,
        hostname: row.get(2)?,
        received: rfc3339_from_ms(row.get(3)?),
        time: rfc3339_from_ms(time_ns / 1_000_000),
        event: stored_json(row.get(5)?)?,
    })
}

/// A LIKE pattern for `text` anywhere, where `%` and `_` stand for themselves.
fn contains(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{escaped}%")
}
