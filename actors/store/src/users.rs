//! People, as far as system events need them.

use oa_durable::Database;

use crate::clock::Clock;
use crate::entities::users;
use crate::error::{StoreError, settle};
use crate::sql;

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Number of the row.
    pub id: i64,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// E-mail address; unique.
    pub email: String,
    /// When the row was made.
    pub inserted_at_ms: i64,
    /// When it changed last.
    pub updated_at_ms: i64,
}

/// The users of the store.
#[derive(Debug, Clone)]
pub struct Users {
    db: Database,
    clock: Clock,
}

impl Users {
    pub(crate) fn new(db: Database, clock: Clock) -> Self {
        Self { db, clock }
    }

    /// The user with that address; made now if there is none.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn ensure(
        &self,
        email: &str,
        first_name: &str,
        last_name: &str,
    ) -> Result<User, StoreError> {
        let now_ms = self.clock.now_ms();
        let (email, first_name, last_name) =
            (email.to_owned(), first_name.to_owned(), last_name.to_owned());
        self.db
            .write::<_, StoreError, _>(move |tx| {
                Box::pin(async move {
                    let insert = "INSERT INTO users (first_name, last_name, email, inserted_at_ms, updated_at_ms) \
                                  VALUES ($1, $2, $3, $4, $4) ON CONFLICT (email) DO NOTHING";
                    let values = [first_name.into(), last_name.into(), email.clone().into(), now_ms.into()];
                    sql::execute(tx, insert, values).await?;
                    let select = "SELECT * FROM users WHERE email = $1";
                    let rows: Vec<users::Model> = sql::models(tx, select, [email.into()]).await?;
                    Ok(rows.into_iter().next().map(read).ok_or(sea_orm::DbErr::RecordNotInserted)?)
                })
            })
            .await
            .map_err(settle)
    }

    /// One user.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn get(&self, id: i64) -> Result<Option<User>, StoreError> {
        let rows: Vec<users::Model> =
            sql::models(self.db.reader(), "SELECT * FROM users WHERE id = $1", [id.into()]).await?;
        Ok(rows.into_iter().next().map(read))
    }

    /// Every user, by number.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn list(&self) -> Result<Vec<User>, StoreError> {
        let rows: Vec<users::Model> =
            sql::models(self.db.reader(), "SELECT * FROM users ORDER BY id", []).await?;
        Ok(rows.into_iter().map(read).collect())
    }
}

fn read(row: users::Model) -> User {
    User {
        id: row.id,
        first_name: row.first_name,
        last_name: row.last_name,
        email: row.email,
        inserted_at_ms: row.inserted_at_ms,
        updated_at_ms: row.updated_at_ms,
    }
}
