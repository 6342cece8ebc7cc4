//! A table in a few words.

use sea_orm::sea_query::{
    Alias, ColumnDef, Expr, ForeignKey, ForeignKeyAction, Index, Table, TableCreateStatement,
};

/// One table: its columns as text, its key, its checks.
///
/// A column is `name kind`, with `!` after the kind if it is never null. The kind is `text`, `int`, `bool` or the
/// table that it refers to by id; `^table` goes with the row that it refers to.
pub(super) struct TableSpec {
    pub(super) name: &'static str,
    /// `None`: a number that the database gives, and the times of making and changing.
    pub(super) key: Option<&'static [&'static str]>,
    pub(super) columns: &'static str,
    pub(super) checks: &'static [&'static str],
}

/// A table of the platform: rows are numbered and say when they were made and changed.
pub(super) const fn numbered(name: &'static str, columns: &'static str) -> TableSpec {
    TableSpec { name, key: None, columns, checks: &[] }
}

impl TableSpec {
    pub(super) fn statement(&self) -> TableCreateStatement {
        let mut table = Table::create();
        table.table(Alias::new(self.name));
        if self.key.is_none() {
            table.col(ColumnDef::new("id").big_integer().not_null().auto_increment().primary_key());
        }
        for column in self.columns.split(',') {
            self.add_column(&mut table, column.trim());
        }
        match self.key {
            Some(key) => {
                let mut index = Index::create();
                for &column in key {
                    index.col(Alias::new(column));
                }
                table.primary_key(&mut index);
            }
            None => {
                table.col(ColumnDef::new("inserted_at_ms").big_integer().not_null());
                table.col(ColumnDef::new("updated_at_ms").big_integer().not_null());
            }
        }
        for &check in self.checks {
            table.check(Expr::cust(check));
        }
        table
    }

    fn add_column(&self, table: &mut TableCreateStatement, text: &str) {
        let (name, kind) = text.split_once(' ').expect("a column has a name and a kind");
        let (kind, required) = kind.strip_suffix('!').map_or((kind, false), |kind| (kind, true));
        let mut column = ColumnDef::new(Alias::new(name));
        match kind {
            "text" => column.text(),
            "int" => column.big_integer(),
            "bool" => column.boolean(),
            "^workflows" => column.text(),
            _reference => column.big_integer(),
        };
        if required {
            column.not_null();
        }
        table.col(&mut column);
        if !matches!(kind, "text" | "int" | "bool") {
            let target = kind.trim_start_matches('^');
            let key = if target == "shard_lease" { "shard" } else { "id" };
            let mut foreign = ForeignKey::create();
            foreign
                .from(Alias::new(self.name), Alias::new(name))
                .to(Alias::new(target), Alias::new(key));
            if kind.starts_with('^') {
                foreign.on_delete(ForeignKeyAction::Cascade);
            }
            table.foreign_key(&mut foreign);
        }
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::sea_query::{PostgresQueryBuilder, SqliteQueryBuilder};

    use super::super::{platform, usage, workflow};
    use super::*;

    #[test]
    fn a_table_reads_the_same_in_both_databases() {
        let spec = numbered(
            "etcd_cluster_ports",
            "etcd_cluster_id etcd_clusters!, port int!, unit_name text",
        );
        assert_eq!(
            spec.statement().to_string(SqliteQueryBuilder),
            "CREATE TABLE \"etcd_cluster_ports\" ( \"id\" integer NOT NULL PRIMARY KEY AUTOINCREMENT, \
             \"etcd_cluster_id\" integer NOT NULL, \"port\" integer NOT NULL, \"unit_name\" text, \
             \"inserted_at_ms\" integer NOT NULL, \"updated_at_ms\" integer NOT NULL, \
             FOREIGN KEY (\"etcd_cluster_id\") REFERENCES \"etcd_clusters\" (\"id\") )"
        );
        let postgres = spec.statement().to_string(PostgresQueryBuilder);
        assert!(postgres.contains("\"etcd_cluster_id\" bigint NOT NULL"), "{postgres}");
    }

    #[test]
    fn every_table_is_there_and_refers_to_a_table_before_it() {
        let mut known: Vec<&str> = Vec::new();
        for spec in platform::TABLES.iter().chain(workflow::TABLES).chain(usage::TABLES) {
            known.push(spec.name);
            for column in spec.columns.split(',') {
                let kind = column.trim().split_once(' ').expect("name and kind").1;
                let kind = kind.trim_end_matches('!').trim_start_matches('^');
                assert!(
                    matches!(kind, "text" | "int" | "bool") || known.contains(&kind),
                    "{}: {column}",
                    spec.name
                );
            }
        }
        assert_eq!(platform::TABLES.len(), 29, "the tables of the platform, without workflows");
        assert_eq!(workflow::TABLES.len(), 8);
    }
}
