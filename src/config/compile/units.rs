//! The units that routes inherit: each is compiled once, where it is written,
//! and shared by all routes that do not replace it.

use std::sync::Arc;

use super::Compiler;
use crate::access::geo::GeoRule;
use crate::access::ip::IpRule;
use crate::access::origins::OriginsRule;
use crate::access::referrer::ReferrerRule;
use crate::access::user_agent::UserAgentRule;
use crate::access::{ExemptPaths, Ruleset};
use crate::cache::key::KeyRules;
use crate::cache::settings::CacheSettings;
use crate::config::file::{ConfigFile, Downstream, Policy};
use crate::config::{ResponseFields, Route};
use crate::images::Images;
use crate::origin::OriginSettings;

/// Everything a route has beside its name. `None` is a rule that is off; for
/// `origin` and `images`, one that is wrong and reported.
#[derive(Clone, Debug)]
pub(super) struct Units {
    origin: Option<Arc<OriginSettings>>,
    exempt_paths: Arc<ExemptPaths>,
    ip: Arc<IpRule>,
    user_agent: Arc<UserAgentRule>,
    geo: Option<Arc<GeoRule>>,
    upload: Option<Arc<OriginsRule>>,
    delivery: Option<Arc<OriginsRule>>,
    referrer: Option<Arc<ReferrerRule>>,
    images: Option<Arc<Images>>,
    key: Arc<KeyRules>,
    cache: CacheSettings,
    response: Option<Arc<ResponseFields>>,
    /// Whether `access.downstream` is `"private"`; the same for all routes.
    private: bool,
}

impl Units {
    /// The top level's.
    pub(super) fn top(compiler: &mut Compiler<'_>, file: &ConfigFile) -> Self {
        let never_exempt = Arc::clone(&compiler.trusted);
        let nothing = Self {
            origin: None,
            exempt_paths: Arc::default(),
            ip: Arc::new(IpRule {
                never_exempt,
                ..IpRule::default()
            }),
            user_agent: Arc::new(UserAgentRule {
                block: None,
                shadow: false,
            }),
            geo: None,
            upload: None,
            delivery: None,
            referrer: None,
            images: compiler.images(None).map(Arc::new),
            key: Arc::default(),
            cache: compiler.default_cache(),
            response: None,
            private: file
                .downstream
                .as_ref()
                .is_some_and(|written| written.value == Downstream::Private),
        };
        let origin = compiler.top_origin(file).map(Arc::new);
        let policy = Policy {
            origin: None,
            ..file.policy.clone()
        };
        Self {
            origin,
            ..nothing.inherited(compiler, &policy)
        }
    }

    /// These, with the units that stand in `policy` replaced, each whole.
    pub(super) fn inherited(&self, compiler: &mut Compiler<'_>, policy: &Policy) -> Self {
        let mut units = self.clone();
        if let Some(raw) = &policy.origin {
            units.origin = compiler.origin(raw).map(Arc::new);
        }
        if let Some(raw) = &policy.exempt_paths {
            units.exempt_paths = Arc::new(compiler.exempt_paths(raw));
        }
        if let Some(raw) = &policy.ip {
            units.ip = Arc::new(compiler.ip(raw));
        }
        if let Some(raw) = &policy.user_agent {
            units.user_agent = Arc::new(compiler.user_agent(raw));
        }
        if let Some(raw) = &policy.geo {
            units.geo = compiler.geo(raw).map(Arc::new);
        }
        if let Some(raw) = &policy.upload {
            units.upload = compiler.origins(raw).map(Arc::new);
        }
        if let Some(raw) = &policy.delivery {
            units.delivery = compiler.origins(raw).map(Arc::new);
        }
        if let Some(raw) = &policy.referrer {
            units.referrer = compiler.referrer(raw).map(Arc::new);
        }
        if let Some(raw) = &policy.images {
            units.images = compiler.images(Some(raw)).map(Arc::new);
        }
        if let Some(raw) = &policy.cache_key {
            units.key = Arc::new(compiler.cache_key(raw));
        }
        if let Some(raw) = &policy.cache {
            units.cache = compiler.cache(raw);
        }
        if let Some(raw) = &policy.response {
            units.response = compiler.response(raw).map(Arc::new);
        }
        units
    }

    /// The route of that name; `None` if a unit is wrong.
    pub(super) fn route(&self, name: String) -> Option<Route> {
        let units = self.clone();
        let rules = Ruleset {
            exempt_paths: units.exempt_paths,
            ip: units.ip,
            user_agent: units.user_agent,
            geo: units.geo,
            upload: units.upload,
            delivery: units.delivery,
            referrer: units.referrer,
        };
        Some(Route {
            name,
            private: units.private && rules.may_deny(),
            rules,
            origin: units.origin?,
            images: units.images?,
            key: units.key,
            cache: units.cache,
            response: units.response,
        })
    }
}
