//! Opening.

use super::{Database, Place, testing};

async fn opened_by_eight_at_the_same_time(place: Place) {
    let opening: Vec<_> = (0..8)
        .map(|_| {
            let place = place.clone();
            tokio::spawn(async move { Database::open(&place).await })
        })
        .collect();
    for database in opening {
        let database = database.await.expect("no panic").expect("a database with all tables");
        let none: Vec<(String,)> =
            database.query("select card_id from search_entries").fetch_all().await.expect("rows");
        assert_eq!(none, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_start_at_the_same_time_do_not_get_in_each_others_way() {
    let folder = tempfile::tempdir().expect("a folder");
    opened_by_eight_at_the_same_time(Place::File(folder.path().join("library.db"))).await;
    #[cfg(unix)]
    opened_by_eight_at_the_same_time(testing::new_postgres()).await;
}

#[tokio::test]
async fn a_database_says_where_it_is_without_a_password() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("library.db");
    for (place, said) in [
        (Place::File(file.clone()), file.display().to_string()),
        (Place::Sqlite(format!("sqlite://{}", file.display())), file.display().to_string()),
        (Place::Memory, "a database in memory".to_owned()),
    ] {
        assert_eq!(Database::open(&place).await.expect("a database").to_string(), said);
    }
    #[cfg(unix)]
    if let Place::Postgres(url) = testing::new_postgres() {
        let place = Place::Postgres(url.replace("postgres@", "postgres:hush@"));
        let said = Database::open(&place).await.expect("a database").to_string();
        let at = url.split_once('@').expect("a user").1;
        assert_eq!(said, format!("PostgreSQL at {at}"));
    }
}
