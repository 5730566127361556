//! What is kept of a request that has been sent, for sending it once more. When it is not needed, as almost always, it is
//! to be gone at one stroke.

use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Request, Version};

use crate::body::{Recovery, Upload};
use crate::fields::Fields;
use crate::upstream::Checkout;

/// What is kept of a request that has been sent.
pub(super) struct Spare {
    /// In HTTP/2. In HTTP/1.1 its connection has it.
    pub(super) head: Option<Box<Head>>,
    /// It may be sent again although octets have left.
    pub(super) replayable: bool,
    pub(super) body: Option<Recovery>,
}

impl Spare {
    /// For sending it again whatever the app has done with it. `checkout`: what it was sent on.
    pub(super) fn replay(self, checkout: &Checkout) -> Option<Parts> {
        if !self.replayable {
            return None;
        }
        match self.head {
            Some(head) => head.restore(),
            None => checkout.sent(),
        }
    }

    /// For sending what the app has not taken up.
    pub(super) async fn recover(self) -> Option<(Parts, Option<Upload>)> {
        let body = match self.body {
            Some(recovery) => Some(recovery.body().await?),
            None => None,
        };
        Some((self.head?.restore()?, body))
    }
}

/// A request's head, without what it has of its connection alone.
pub(super) struct Head {
    method: Method,
    version: Version,
    /// Behind its target.
    fields: Fields,
}

impl Head {
    pub(super) fn of(head: &Parts) -> Self {
        // The policy leaves nothing of a target but this.
        let target = head.uri.path_and_query();
        let target = target.map_or("/", PathAndQuery::as_str);
        Self {
            method: head.method.clone(),
            version: head.version,
            fields: Fields::behind(target, &head.headers),
        }
    }

    fn restore(self) -> Option<Parts> {
        let (target, fields) = self.fields.restore_behind()?;
        let mut head = Request::new(()).into_parts().0;
        head.method = self.method;
        head.uri = target.into();
        head.version = self.version;
        head.headers = fields;
        Some(head)
    }
}
