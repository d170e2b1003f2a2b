//! Which pages there are and who may have them: a route cannot be added without saying that, and the guard reads it here.

use app::store::Role;
use axum::{
    Router,
    handler::Handler,
    http::Method,
    routing::{get, post},
};

/// Who may have a page or send a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Everybody; a form changes nothing and carries no token.
    Nothing,
    /// Everybody; a form carries the token of its page.
    Token,
    /// Who has given the first factor, or both.
    Session,
    /// A member of the organisation who is this or more.
    Role(Role),
}

/// A page, or where a form goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// `GET` or `POST`.
    pub method: Method,
    /// Its path, with `{…}` for what varies.
    pub path: &'static str,
    /// Who may have it.
    pub needs: Needs,
}

/// Routes under construction.
#[derive(Default)]
pub(crate) struct Routes {
    router: Router,
    list: Vec<Route>,
}

impl Routes {
    pub fn get<H: Handler<T, ()>, T: 'static>(
        mut self,
        path: &'static str,
        needs: Needs,
        handler: H,
    ) -> Self {
        self.list.push(Route { method: Method::GET, path, needs });
        Self { router: self.router.route(path, get(handler)), ..self }
    }

    pub fn post<H: Handler<T, ()>, T: 'static>(
        mut self,
        path: &'static str,
        needs: Needs,
        handler: H,
    ) -> Self {
        self.list.push(Route { method: Method::POST, path, needs });
        Self { router: self.router.route(path, post(handler)), ..self }
    }

    /// Changes the router, not who may have its routes.
    pub fn layered(self, layer: impl FnOnce(Router) -> Router) -> Self {
        Self { router: layer(self.router), ..self }
    }

    pub fn and(mut self, other: Self) -> Self {
        self.list.extend(other.list);
        Self { router: self.router.merge(other.router), list: self.list }
    }

    /// The router, and what the guard has to know of it.
    pub fn into_parts(self) -> (Router, Vec<Route>) {
        (self.router, self.list)
    }
}

/// Who may have which route, by path as it is routed.
#[derive(Debug)]
pub(crate) struct Table(pub Vec<Route>);

impl Table {
    /// What a route needs. `None`: there is none, and nothing behind it. HEAD is GET without the body.
    pub fn needs(&self, method: &Method, path: &str) -> Option<Needs> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        self.0.iter().find(|route| route.method == *method && route.path == path).map(|route| route.needs)
    }
}
