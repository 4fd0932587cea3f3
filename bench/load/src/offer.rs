//! Whether a server has what a scenario asks of it. Not every peer compresses or has static routes; that is no failure.

use crate::Result;
use crate::handshake::{Offer, agrees_to, status_of};
use crate::options::{Options, Scenario};
use crate::stream::Connector;

/// What the server does not have, or nothing.
pub(crate) fn missing(options: &Options) -> Result<Option<String>> {
    let connector = Connector::new(options)?;
    Ok(match options.scenario {
        Scenario::Compressed if !agrees_to(&connector, "/", Offer::Deflate)? => Some("compression".into()),
        Scenario::Http => {
            let (request, _) = options.exchange.example(options.port, 0);
            let status = status_of(&connector, &request)?;
            let path = String::from_utf8_lossy(&request).split(' ').nth(1).map(String::from);
            path.filter(|_| status == 404)
        }
        _ => None,
    })
}
