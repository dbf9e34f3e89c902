//! Ad-hoc commands of admins (XEP-0050, XEP-0133): the same list as on the command line.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use server::{Commands, Node};

use crate::commands::{self, Arguments};
use crate::desk::{Refused, Running};

/// Ad-hoc commands of admins come this way.
pub struct AdHoc;

impl Commands for AdHoc {
    fn run(
        &self,
        node: Arc<Node>,
        name: String,
        arguments: Vec<(String, String)>,
    ) -> BoxFuture<'static, Result<Vec<(String, String)>, String>> {
        Box::pin(async move {
            let done = commands::run(&Running(node), &name, &Arguments(arguments)).await;
            done.map_err(|Refused(why)| why)
        })
    }
}
