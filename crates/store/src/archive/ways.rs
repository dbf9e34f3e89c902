//! The statements by which an archive is searched: by number, by person, by word.

/// The statements for one way of finding.
pub(super) struct Way {
    pub(super) forwards: &'static str,
    pub(super) backwards: &'static str,
    pub(super) count: &'static str,
}

macro_rules! way {
    ($tables:literal, $filters:expr, $by:literal, $limit:literal) => {
        Way {
            forwards: way!($tables, $filters, $by, "", $limit),
            backwards: way!($tables, $filters, $by, " DESC", $limit),
            count: concat!("SELECT COUNT(*) FROM ", $tables, " WHERE ", $filters),
        }
    };
    ($tables:literal, $filters:expr, $by:literal, $way:literal, $limit:literal) => {
        concat!(
            "SELECT a.seq, a.at, b.xml FROM ",
            $tables,
            " JOIN archive_bodies b ON b.place = a.body WHERE ",
            $filters,
            " ORDER BY ",
            $by,
            $way,
            " LIMIT ",
            $limit
        )
    };
}

macro_rules! of_owner {
    () => {
        "a.owner = $1 AND a.seq > $2 AND a.seq < $3 AND a.at >= $4 AND a.at <= $5"
    };
}

macro_rules! with_peer {
    () => {
        concat!(of_owner!(), " AND a.peer = $6 AND (CAST($7 AS TEXT) IS NULL OR a.device = $7)")
    };
}

pub(super) use {of_owner, with_peer};

pub(super) const ALL: Way = way!("archive a", of_owner!(), "a.seq", "$6");
pub(super) const WITH: Way = way!("archive a", with_peer!(), "a.seq", "$8");
/// Full-text search is the one thing for which the engines have no common words. Both look into their index first,
/// however many messages it names; SQLite only as far as the page goes.
pub(super) const WORDS_SQLITE: Way = way!(
    "archive_words CROSS JOIN archive a ON a.place = archive_words.rowid",
    "archive_words MATCH $1 AND a.owner = $2 AND a.seq > $3 AND a.seq < $4 AND a.at >= $5 AND a.at <= $6 \
     AND (CAST($7 AS TEXT) IS NULL OR a.peer = $7) AND (CAST($8 AS TEXT) IS NULL OR a.device = $8)",
    "archive_words.rowid",
    "$9"
);

macro_rules! named {
    ($what:literal, $by:literal, $end:literal) => {
        concat!(
            "SELECT ",
            $what,
            " FROM (SELECT rowid FROM (SELECT rowid FROM archive_words \
             WHERE array_to_tsvector(string_to_array(words, ' ')) @@ CAST(CAST($1 AS TEXT) AS tsquery) OFFSET 0) n",
            $by,
            " OFFSET 0) w CROSS JOIN LATERAL (SELECT * FROM archive WHERE place = w.rowid AND owner = $2 \
             AND seq > $3 AND seq < $4 AND at >= $5 AND at <= $6 AND (CAST($7 AS TEXT) IS NULL OR peer = $7) \
             AND (CAST($8 AS TEXT) IS NULL OR device = $8) OFFSET 0) a",
            $end
        )
    };
    ($by:literal) => {
        named!(
            "a.seq, a.at, b.xml",
            $by,
            " CROSS JOIN LATERAL (SELECT xml FROM archive_bodies WHERE place = a.body OFFSET 0) b LIMIT $9"
        )
    };
}

/// The index names all messages; they are put in order before the first of them is looked at. Places are in the
/// order of the numbers.
pub(super) const WORDS_POSTGRES: Way = Way {
    forwards: named!(" ORDER BY rowid"),
    backwards: named!(" ORDER BY rowid DESC"),
    count: named!("COUNT(*)", "", ""),
};
