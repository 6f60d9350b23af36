//! A blocking client of the registry: few calls, at start and when a schema id turns up in a topic.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::credential::Credential;
use crate::registry::RegistryError;

use super::tls::{self, Material, agent};

#[derive(Clone, Default)]
pub struct ClientOptions {
    /// One or several addresses, comma separated; tried in turn.
    pub url: String,
    /// Read for each call.
    pub username: Option<Credential>,
    pub password: Option<Credential>,
    pub bearer_token: Option<Credential>,
    /// PEM files, looked at for each call; without `ca` the system's roots.
    pub ca: Option<PathBuf>,
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
    /// Of one call; None is 10 s.
    pub timeout: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A schema that is not there is registered.
    Register,
    /// It has to be there.
    Verify,
}

pub struct Client {
    options: ClientOptions,
    urls: Vec<String>,
    /// With the files that it was made from: others make a new one.
    agent: Mutex<(ureq::Agent, Material)>,
}

const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";
impl Client {
    pub fn new(options: &ClientOptions) -> Result<Client, RegistryError> {
        let setup = |message: String| RegistryError::Setup { message };
        let urls: Vec<String> = options
            .url
            .split(',')
            .map(|u| u.trim().trim_end_matches('/').to_owned())
            .filter(|u| !u.is_empty())
            .collect();
        if urls.is_empty() {
            return Err(setup("[registry] url is empty".into()));
        }
        for url in &urls {
            if !url.starts_with("http://") && !url.starts_with("https://") {
                return Err(setup("[registry] url begins with neither http:// nor https://".into()));
            }
            if url.split('/').nth(2).is_some_and(|authority| authority.contains('@')) {
                return Err(setup("[registry] url holds credentials: write username and password instead".into()));
            }
        }
        let material = Material::read(options, &urls)?;
        let agent = agent(options, &material)?;
        Ok(Client { options: options.clone(), urls, agent: Mutex::new((agent, material)) })
    }

    /// The agent, made anew when a certificate was exchanged since the last call.
    fn agent(&self) -> Result<ureq::Agent, RegistryError> {
        let material = Material::read(&self.options, &self.urls)?;
        let mut held = self.agent.lock().unwrap_or_else(PoisonError::into_inner);
        if held.1 != material {
            *held = (agent(&self.options, &material)?, material);
        }
        Ok(held.0.clone())
    }

    fn authorization(&self) -> Result<Option<String>, RegistryError> {
        let read = |key: &'static str, c: &Option<Credential>| {
            c.as_ref().map(Credential::read).transpose().map_err(|source| RegistryError::Secret { key, source })
        };
        Ok(match (read("bearer_token", &self.options.bearer_token)?, read("username", &self.options.username)?) {
            (Some(token), _) => Some(format!("Bearer {token}")),
            (None, Some(user)) => {
                let password = read("password", &self.options.password)?.unwrap_or_default();
                Some(format!("Basic {}", base64(format!("{user}:{password}").as_bytes())))
            }
            (None, None) => None,
        })
    }

    /// What a refusal depends on may be another one the next time.
    fn rotates(&self) -> bool {
        let o = &self.options;
        let credentials = [&o.username, &o.password, &o.bearer_token];
        credentials.into_iter().flatten().any(Credential::may_change) || o.cert.is_some()
    }

    /// The id of the schema under the subject: looked up, and in `Mode::Register` registered where it is not there.
    /// A subject that we create gets the level `compatibility` first; an existing one must have it.
    pub fn ensure(&self, subject: &str, schema: &str, mode: Mode, compatibility: &str) -> Result<u32, RegistryError> {
        Ok(self.ensure_version(subject, schema, mode, compatibility)?.0)
    }

    /// The same, with the version under the subject where the registry says one.
    pub fn ensure_version(
        &self,
        subject: &str,
        schema: &str,
        mode: Mode,
        compatibility: &str,
    ) -> Result<(u32, Option<u32>), RegistryError> {
        if let Some(known) = self.lookup_version(subject, schema)? {
            return Ok(known);
        }
        if mode == Mode::Verify {
            return Err(RegistryError::NotRegistered { subject: subject.to_owned() });
        }
        if self.versions(subject)?.is_empty() {
            self.set_level(subject, compatibility)?;
        } else {
            self.check_level(subject, compatibility)?;
        }
        let id = self.register(subject, schema)?;
        Ok((id, self.lookup_version(subject, schema)?.and_then(|(_, version)| version)))
    }

    /// The id, if this schema stands under the subject.
    pub fn lookup(&self, subject: &str, schema: &str) -> Result<Option<u32>, RegistryError> {
        Ok(self.lookup_version(subject, schema)?.map(|(id, _)| id))
    }

    fn lookup_version(&self, subject: &str, schema: &str) -> Result<Option<(u32, Option<u32>)>, RegistryError> {
        let answer = self.call("POST", &format!("/subjects/{subject}?normalize=true"), Some(&body(schema)))?;
        match answer.status {
            200 => {
                let version = answer.json["version"].as_u64().and_then(|v| u32::try_from(v).ok());
                answer.id("looking up a schema").map(|id| Some((id, version)))
            }
            404 => Ok(None),
            // A schema that it cannot read is not there either; registering shows the message.
            _ => Err(answer.refusal(subject, "looking up a schema")),
        }
    }

    /// Registers the text as it is.
    pub fn register(&self, subject: &str, schema: &str) -> Result<u32, RegistryError> {
        let path = format!("/subjects/{subject}/versions?normalize=true");
        let answer = self.call("POST", &path, Some(&body(schema)))?;
        match answer.status {
            200 => answer.id("registering a schema"),
            409 => {
                // The reasons, where the registry gives them apart from the refusal.
                let mut message = answer.message();
                if let Ok(Some(reasons)) = self.incompatibilities(subject, schema)
                    && !reasons.is_empty()
                {
                    message = format!("{message}; {}", reasons.join("; "));
                }
                Err(RegistryError::Incompatible { subject: subject.to_owned(), message })
            }
            _ => Err(answer.refusal(subject, "registering a schema")),
        }
    }

    /// None: compatible with every version that the subject's level looks at. Some: not, with the registry's reasons
    /// (which may be none).
    pub fn incompatibilities(&self, subject: &str, schema: &str) -> Result<Option<Vec<String>>, RegistryError> {
        let path = format!("/compatibility/subjects/{subject}/versions?verbose=true&normalize=true");
        let answer = self.call("POST", &path, Some(&body(schema)))?;
        match (answer.status, answer.json["is_compatible"].as_bool()) {
            (200, Some(true)) | (404, _) => Ok(None),
            (200, Some(false)) => {
                let messages = answer.json["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
                Ok(Some(messages.iter().filter_map(Json::as_str).map(str::to_owned).collect()))
            }
            _ => Err(answer.refusal(subject, "checking compatibility")),
        }
    }

    /// Version numbers; empty for a subject that is not there.
    pub fn versions(&self, subject: &str) -> Result<Vec<u32>, RegistryError> {
        let answer = self.call("GET", &format!("/subjects/{subject}/versions"), None)?;
        match (answer.status, answer.json.as_array()) {
            (200, Some(versions)) => Ok(versions.iter().filter_map(Json::as_u64).map(|v| v as u32).collect()),
            (404, _) => Ok(Vec::new()),
            _ => Err(answer.refusal(subject, "listing versions")),
        }
    }

    /// The subject's level, or the global one where it has none of its own.
    pub fn level(&self, subject: &str) -> Result<String, RegistryError> {
        let mut answer = self.call("GET", &format!("/config/{subject}?defaultToGlobal=true"), None)?;
        if answer.status == 404 {
            answer = self.call("GET", "/config", None)?;
        }
        let level = ["compatibilityLevel", "compatibility"].iter().find_map(|key| answer.json[*key].as_str());
        match (answer.status, level) {
            (200, Some(level)) => Ok(level.to_owned()),
            _ => Err(answer.refusal(subject, "reading the compatibility level")),
        }
    }

    pub fn check_level(&self, subject: &str, wanted: &str) -> Result<(), RegistryError> {
        let level = self.level(subject)?;
        if level == wanted {
            return Ok(());
        }
        Err(RegistryError::Level { subject: subject.to_owned(), level, wanted: wanted.to_owned() })
    }

    pub fn set_level(&self, subject: &str, level: &str) -> Result<(), RegistryError> {
        let answer = self.call("PUT", &format!("/config/{subject}"), Some(&json!({ "compatibility": level })))?;
        match answer.status {
            200 => Ok(()),
            // Apicurio takes NONE away from a subject, and so needs one; what holds for all holds for it.
            404 if self.level(subject)? == level => Ok(()),
            _ => Err(answer.refusal(subject, "setting the compatibility level")),
        }
    }

    /// The text of a schema by its id.
    pub fn schema(&self, id: u32) -> Result<String, RegistryError> {
        let answer = self.call("GET", &format!("/schemas/ids/{id}"), None)?;
        match (answer.status, answer.json["schema"].as_str()) {
            (200, Some(text)) => Ok(text.to_owned()),
            _ => Err(answer.refusal(&format!("id {id}"), "reading a schema")),
        }
    }

    /// Whether it answers at all, and as a registry.
    pub fn ping(&self) -> Result<(), RegistryError> {
        let answer = self.call("GET", "/subjects", None)?;
        if answer.status == 200 && answer.json.is_array() {
            Ok(())
        } else {
            Err(answer.refusal("", "listing subjects"))
        }
    }

    /// Removes a subject for good: soft, then hard. True if it was there.
    pub fn delete_subject(&self, subject: &str) -> Result<bool, RegistryError> {
        let soft = self.call("DELETE", &format!("/subjects/{subject}"), None)?;
        match soft.status {
            200 => {}
            404 => return Ok(false),
            _ => return Err(soft.refusal(subject, "deleting a subject")),
        }
        let hard = self.call("DELETE", &format!("/subjects/{subject}?permanent=true"), None)?;
        // Apicurio's first deletion is final: the second finds nothing.
        if matches!(hard.status, 200 | 404) { Ok(true) } else { Err(hard.refusal(subject, "deleting a subject")) }
    }

    fn call(&self, method: &str, path: &str, body: Option<&Json>) -> Result<Answer, RegistryError> {
        let (agent, authorization) = (self.agent()?, self.authorization()?);
        let mut last = None;
        for url in &self.urls {
            match self.call_one(&agent, authorization.as_deref(), url, method, path, body) {
                Err(e) if e.is_retriable() || matches!(e, RegistryError::Tls { .. }) => last = Some(e),
                done => return done,
            }
        }
        Err(last.unwrap_or_else(|| RegistryError::Setup { message: "[registry] url is empty".into() }))
    }

    fn call_one(
        &self,
        agent: &ureq::Agent,
        authorization: Option<&str>,
        url: &str,
        method: &str,
        path: &str,
        body: Option<&Json>,
    ) -> Result<Answer, RegistryError> {
        let unreachable = |source| tls::refused(url, source);
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{url}{path}"))
            .header("accept", format!("{CONTENT_TYPE}, application/json"));
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        let setup =
            |_| RegistryError::Setup { message: "[registry] url or credentials hold what HTTP cannot carry".into() };
        let response = match body {
            Some(json) => {
                let request = request.header("content-type", CONTENT_TYPE).body(json.to_string()).map_err(setup)?;
                agent.run(request)
            }
            None => agent.run(request.body(()).map_err(setup)?),
        };
        let mut response = response.map_err(unreachable)?;
        let status = response.status().as_u16();
        let text = response.body_mut().read_to_string().map_err(unreachable)?;
        let answer = Answer { status, json: serde_json::from_str(&text).unwrap_or(Json::Null), text };
        match status {
            401 | 403 => Err(RegistryError::Unauthorized {
                url: url.to_owned(),
                status,
                message: answer.message(),
                rotates: self.rotates(),
            }),
            429 | 500.. => Err(RegistryError::Unavailable {
                url: url.to_owned(),
                status,
                error_code: answer.error_code(),
                message: answer.message(),
            }),
            _ => Ok(answer),
        }
    }
}

struct Answer {
    status: u16,
    json: Json,
    text: String,
}

impl Answer {
    fn error_code(&self) -> u32 {
        self.json["error_code"].as_u64().unwrap_or_default() as u32
    }

    fn message(&self) -> String {
        match self.json["message"].as_str() {
            Some(message) => message.to_owned(),
            None => self.text.chars().take(200).collect(),
        }
    }

    fn id(&self, what: &str) -> Result<u32, RegistryError> {
        let id = self.json["id"].as_u64().and_then(|id| u32::try_from(id).ok());
        id.ok_or_else(|| self.refusal("", what))
    }

    fn refusal(&self, subject: &str, what: &str) -> RegistryError {
        let (error_code, message) = (self.error_code(), self.message());
        match (self.status, error_code) {
            (409, _) => RegistryError::Incompatible { subject: subject.to_owned(), message },
            (422, 42201 | 422) => RegistryError::Invalid { subject: subject.to_owned(), message },
            (status, error_code) => RegistryError::Unexpected { what: what.to_owned(), status, error_code, message },
        }
    }
}

fn body(schema: &str) -> Json {
    json!({ "schema": schema, "schemaType": "AVRO" })
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let n = chunk.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let symbol = ALPHABET[(n >> (18 - 6 * i) & 63) as usize];
            text.push(if i <= chunk.len() { symbol as char } else { '=' });
        }
    }
    text
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("urls", &self.urls).finish_non_exhaustive()
    }
}

impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOptions")
            // What could be credentials in it is refused when the client is made.
            .field("url", &if self.url.contains('@') { "***" } else { &self.url })
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "client/tests.rs"]
mod tests;
