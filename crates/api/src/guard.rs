//! What each operation asks of a key, read from the OpenAPI document itself.
//!
//! An operation says `security(("api_key" = ["read:domains"]))` beside its path. What a client reads there is what the
//! middleware asks for: there is no second list that could differ. Several requirements are alternatives, an empty list
//! of scopes is any valid key. An operation that says nothing, or names a scope that there is not, is in no guard's list,
//! and so nobody gets in.

use app::access::{Caller, Scope, ScopeSet};
use axum::http::Method;
use serde_json::Value;
use std::collections::HashMap;

/// What one operation asks of a key: all scopes of one of these sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard(Vec<ScopeSet>);

impl Guard {
    /// Refuses a caller who has all scopes of no set; the error is of the first one.
    pub fn admit(&self, caller: &Caller) -> Result<(), app::Error> {
        let mut refused = None;
        for wanted in &self.0 {
            match caller.scopes.lacks(*wanted) {
                None => return Ok(()),
                Some(scope) => refused = refused.or(Some(scope)),
            }
        }
        Err(app::Error::ScopeMissing(refused.unwrap_or(Scope::Admin).as_str()))
    }

    /// Reads the requirements of an operation.
    fn read(operation: &Value) -> Option<Self> {
        let alternatives = operation.get("security")?.as_array()?;
        let sets: Option<Vec<_>> = alternatives.iter().map(|one| scopes(one.get("api_key")?)).collect();
        sets.filter(|sets| !sets.is_empty()).map(Self)
    }
}

fn scopes(words: &Value) -> Option<ScopeSet> {
    words.as_array()?.iter().map(|word| Scope::from_word(word.as_str()?)).collect()
}

/// The guards of all operations, by path as it is routed.
#[derive(Debug, Default)]
pub struct Guards(HashMap<String, Vec<(Method, Guard)>>);

impl Guards {
    /// Reads a document.
    pub fn of(document: &Value) -> Self {
        let mut guards: HashMap<String, Vec<(Method, Guard)>> = HashMap::new();
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            for (method, operation) in item.as_object().into_iter().flatten() {
                let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).ok();
                if let (Some(method), Some(guard)) = (method, Guard::read(operation)) {
                    guards.entry(path.clone()).or_default().push((method, guard));
                }
            }
        }
        Self(guards)
    }

    /// The guard of an operation. HEAD is GET without the body (RFC 9110 §9.3.2).
    pub fn of_operation(&self, path: &str, method: &Method) -> Option<&Guard> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        self.0.get(path)?.iter().find(|(known, _)| known == method).map(|(_, guard)| guard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::OrgId;
    use serde_json::json;

    fn caller(scopes: &[Scope]) -> Caller {
        Caller { scopes: scopes.iter().copied().collect(), ..Caller::owner(OrgId::from_parts(0, 0)) }
    }

    #[test]
    fn every_operation_of_the_document_has_a_guard() {
        let document = serde_json::to_value(crate::openapi()).unwrap();
        let guards = Guards::of(&document);
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                assert!(guards.of_operation(path, &method).is_some(), "{method} {path} says no security(…)");
            }
        }
    }

    #[test]
    fn what_is_not_said_or_not_known_lets_nobody_in() {
        let document = json!({"paths": {"/a": {
            "get": {"security": [{"api_key": ["read:domains"]}]},
            "post": {},
            "put": {"security": []},
            "patch": {"security": [{"api_key": ["no:such"]}]},
            "delete": {"security": [{}]},
        }}});
        let guards = Guards::of(&document);
        assert!(guards.of_operation("/a", &Method::GET).is_some());
        assert!(guards.of_operation("/a", &Method::HEAD).is_some());
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS] {
            assert!(guards.of_operation("/a", &method).is_none(), "{method}");
        }
        assert!(guards.of_operation("/b", &Method::GET).is_none());
    }

    #[test]
    fn requirements_are_alternatives_and_scopes_come_together() {
        let of = |security| Guard::read(&json!({ "security": security })).unwrap();
        let either = of(json!([{"api_key": ["read:emails"]}, {"api_key": ["send:emails"]}]));
        assert!(either.admit(&caller(&[Scope::SendEmails])).is_ok());
        assert!(matches!(
            either.admit(&caller(&[Scope::ReadDomains])),
            Err(app::Error::ScopeMissing("read:emails"))
        ));
        let both = of(json!([{"api_key": ["read:domains", "send:emails"]}]));
        assert!(both.admit(&caller(&[Scope::ReadDomains])).is_err());
        assert!(both.admit(&caller(&[Scope::Admin])).is_ok());
        assert!(of(json!([{"api_key": []}])).admit(&caller(&[])).is_ok());
    }
}
