//! A static route: a response made once, when the server starts, and sent without JavaScript (§9 of the reference).

use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use hyper::ext::ReasonPhrase;

use super::body::ResponseBody;
use super::conditions::{self, Validators, Verdict};
use super::prepared::{self, Head, write_field};

/// See the module.
#[derive(Debug)]
pub(crate) struct StaticRoute {
    status: StatusCode,
    phrase: Option<ReasonPhrase>,
    fields: HeaderMap,
    /// `None` when it is hyper that writes the head.
    head: Option<Head>,
    body: Bytes,
    modified: Option<SystemTime>,
}

impl StaticRoute {
    pub(crate) fn new(
        status: StatusCode,
        phrase: Option<ReasonPhrase>,
        given: Vec<(HeaderName, HeaderValue)>,
        body: Bytes,
    ) -> Self {
        let mut fields = HeaderMap::with_capacity(given.len() + 1);
        for (name, value) in given {
            fields.append(name, value);
        }
        // The framing follows from the body, whatever the response says.
        fields.remove(header::TRANSFER_ENCODING);
        fields.remove(header::CONTENT_LENGTH);
        if prepared::has_length(status) {
            fields.insert(header::CONTENT_LENGTH, body.len().into());
        }
        let head = if phrase.is_none() { Head::new(status, &text_of(&fields), body.len()) } else { None };
        let modified = fields.get(header::LAST_MODIFIED);
        let modified = modified.and_then(|value| conditions::parse_date(value.as_bytes()));
        Self { status, phrase, fields, head, body, modified }
    }

    /// The answer to a request with this method and these fields. Every method gets one; conditions count where they mean something.
    pub(crate) fn answer(&self, method: &Method, fields: &HeaderMap) -> Response<ResponseBody> {
        let is_conditional = self.status == StatusCode::OK && conditions::apply_to(method);
        match if is_conditional { self.validators().judge(fields) } else { Verdict::Proceed } {
            Verdict::Proceed => self.whole(),
            Verdict::NotModified => self.without_body(StatusCode::NOT_MODIFIED),
            Verdict::Failed => self.without_body(StatusCode::PRECONDITION_FAILED),
        }
    }

    /// Appends the head of the answer to a GET that says nothing but its target to `out`, and returns the content. `None` leaves it to `answer`.
    pub(crate) fn write_plain(&self, out: &mut Vec<u8>, date: &[u8]) -> Option<&Bytes> {
        self.head.as_ref()?.write(out, date);
        Some(&self.body)
    }

    fn validators(&self) -> Validators<'_> {
        Validators { etag: self.fields.get(header::ETAG).map(HeaderValue::as_bytes), modified: self.modified }
    }

    fn whole(&self) -> Response<ResponseBody> {
        let mut response = Response::new(ResponseBody::unwatched(self.body.clone()));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.fields.clone();
        if let Some(phrase) = &self.phrase {
            response.extensions_mut().insert(phrase.clone());
        }
        response
    }

    fn without_body(&self, status: StatusCode) -> Response<ResponseBody> {
        let mut response = Response::new(ResponseBody::unwatched(Bytes::new()));
        *response.status_mut() = status;
        *response.headers_mut() = self.fields.clone();
        if status == StatusCode::NOT_MODIFIED {
            response.headers_mut().remove(header::CONTENT_LENGTH);
        } else {
            response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        response
    }
}

/// The fields as they go out, but for the length.
fn text_of(fields: &HeaderMap) -> Vec<u8> {
    let mut text = Vec::new();
    for (name, value) in fields.iter().filter(|(name, _)| **name != header::CONTENT_LENGTH) {
        write_field(&mut text, name.as_str().as_bytes(), value.as_bytes());
    }
    text
}
