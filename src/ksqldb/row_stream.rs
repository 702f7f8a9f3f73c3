//! The rows of a query while they come.

use reqwest::Response;

use super::client::{Result, innermost};
use super::error::Error;
use super::rows::{Decoder, Header, Item, Malformed};

/// The rows of a running query.
#[derive(Debug)]
pub struct RowStream {
    response: Response,
    decoder: Decoder,
    url: String,
    is_over: bool,
}

impl RowStream {
    /// Those of an answer of success; `url` is the server's.
    pub(super) fn new(response: Response, decoder: Decoder, url: String) -> Self {
        Self {
            response,
            decoder,
            url,
            is_over: false,
        }
    }

    /// The next item; `None` when the query has ended. May wait for ever: a push query has no end.
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`Error::Lost`] when the connection ends before the answer does, [`Error::Rejected`] when the query
    /// fails after it has started.
    pub async fn next(&mut self) -> Result<Option<Item>> {
        loop {
            match self.decoder.next_item() {
                Some(Item::Failed(error)) => return Err(Error::Rejected(error)),
                Some(item) => return Ok(Some(item)),
                None if self.is_over => return Ok(None),
                None => {}
            }
            match self.response.chunk().await {
                Ok(Some(chunk)) => self.feed(&chunk)?,
                Ok(None) => {
                    self.is_over = true;
                    if !self.decoder.finish() {
                        return Err(Error::Lost {
                            url: self.url.clone(),
                            reason: "the rows stopped without an end".to_owned(),
                        });
                    }
                }
                Err(error) => {
                    self.is_over = true;
                    return Err(Error::Lost {
                        url: self.url.clone(),
                        reason: innermost(&error),
                    });
                }
            }
        }
    }

    /// Waits for the header, which says that the query runs.
    ///
    /// # Errors
    /// As [`RowStream::next`]; [`Error::UnexpectedAnswer`] when something else comes first.
    pub async fn header(&mut self) -> Result<Header> {
        match self.next().await? {
            Some(Item::Header(header)) => Ok(header),
            _ => Err(self.unexpected("rows without a header")),
        }
    }

    fn feed(&mut self, chunk: &[u8]) -> Result<()> {
        self.decoder.feed(chunk).map_err(|error: Malformed| {
            self.is_over = true;
            self.unexpected(error)
        })
    }

    fn unexpected(&self, problem: impl std::fmt::Display) -> Error {
        Error::UnexpectedAnswer {
            url: format!("{}/query", self.url),
            problem: problem.to_string(),
        }
    }
}
