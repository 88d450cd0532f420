//! The rules that the benches judge by, each at its default limit. What a
//! bench measures by itself, such as networks and sites, it brings.

use std::path::{Path, PathBuf};

/// The countries that are blocked.
pub(crate) const COUNTRIES: [&str; 10] =
    ["CN", "RU", "IR", "KP", "SY", "CU", "BY", "VE", "MM", "ZW"];

/// Words of programs that are blocked.
pub(crate) const BLOCKED_AGENTS: [&str; 10] = [
    "python-requests",
    "Scrapy",
    "curl/",
    "Wget",
    "Go-http-client",
    "HTTrack",
    "libwww-perl",
    "AhrefsBot",
    "Bytespider",
    "HeadlessChrome",
];

/// Words of apps that show WebP and do not say so.
pub(crate) const APPS: [&str; 10] = [
    "okhttp",
    "Android 11",
    "Dalvik/",
    "CFNetwork",
    "Alamofire",
    "ExoPlayer",
    "FBAN/",
    "Instagram",
    "Pinterest/",
    "ShopApp/",
];

/// What their `Accept` should have said.
pub(crate) const APP_ACCEPT: &str = "image/webp,image/apng,*/*;q=0.8";

/// Networks that are blocked.
pub(crate) const NETWORKS: usize = 100;

/// Referrers that are allowed.
pub(crate) const REFERRERS: usize = 30;

/// Globs that an `Origin` has to fit.
pub(crate) const GLOBS: usize = 20;

/// The real country database, if `PORTCULLIS_COUNTRY_MMDB` names one.
pub(crate) fn real_country_database() -> Option<PathBuf> {
    let path = std::env::var_os("PORTCULLIS_COUNTRY_MMDB")?;
    (!path.is_empty()).then(|| path.into())
}

/// The real country database, else the small one of the tests.
pub(crate) fn country_database() -> PathBuf {
    let small = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/country/country.mmdb");
    real_country_database().unwrap_or(small)
}

/// The tables about the client's address. `networks` is the entry of
/// `access.ip` that has or names them.
pub(crate) fn address_tables(networks: &str) -> String {
    format!(
        "[access.ip]\n{networks}\n\
         [access.geo]\nmode = \"block\"\ndatabase = {:?}\ncountries = {COUNTRIES:?}\n",
        country_database()
    )
}

/// Who may show what is asked for.
#[derive(Debug)]
pub(crate) struct Pages<'a> {
    /// URLs of pages that may refer here.
    pub(crate) referrers: &'a [String],
    /// Globs for the hosts of an `Origin`.
    pub(crate) globs: &'a [String],
    /// The tables of `access.origins` that have the globs.
    pub(crate) origins: &'a [&'a str],
    /// What becomes of requests without either field.
    pub(crate) missing: &'a str,
}

/// The tables about what the other fields of a request say.
pub(crate) fn field_tables(pages: &Pages<'_>) -> String {
    let Pages {
        referrers,
        globs,
        origins,
        missing,
    } = pages;
    let mut toml = format!(
        "[access.user_agent]\nblock = {BLOCKED_AGENTS:?}\n\
         [access.referrer]\nmode = \"allow\"\nmissing = \"{missing}\"\nurls = {referrers:?}\n"
    );
    for table in *origins {
        let text =
            format!("[access.origins.{table}]\nmissing = \"{missing}\"\npatterns = {globs:?}\n");
        toml.push_str(&text);
    }
    let apps = format!("[[images.clients]]\nuser_agents = {APPS:?}\naccept = \"{APP_ACCEPT}\"\n");
    toml + &apps
}
