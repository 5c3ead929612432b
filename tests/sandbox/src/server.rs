//! Starting and stopping the sandbox.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{Extensions, HeaderMap, Method, StatusCode, Version};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use chrono::TimeDelta;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate};
use url::Url;

use crate::admin::{self, AdminState};
use crate::client::{Admin, AdminError};
use crate::clio::{self, ClioOptions, ClioState};
use crate::clock::Clock;
use crate::gateway::{self, AsItIs, Gateway};
use crate::gis::{self, GisOptions, GisState};
use crate::keep::{self, KeepError, Keeper, KeptState};
use crate::listener::{CuttableListener, Scissors};
use crate::openapi::Specification;

/// How long open requests have to end at a stop.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// How the sandbox starts.
#[derive(Debug)]
pub struct SandboxOptions {
    /// The address to listen at; port 0 picks a free one.
    pub listen: SocketAddr,
    /// The Clio half.
    pub clio: ClioOptions,
    /// The ArcGIS half.
    pub gis: GisOptions,
    /// A file that keeps the whole state over restarts. With it, an answer is given only once everything that it may
    /// rest on is in the file, so that a crash loses nothing that anybody was told. Attachments and
    /// documents are kept in folders beside it, of the same name with the endings `attachments` and `documents`.
    pub keep: Option<PathBuf>,
    /// Clio's specification, against which every exchange is held; see [`Sandbox::violations`].
    pub specification: Option<Arc<dyn Specification>>,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            clio: ClioOptions::default(),
            gis: GisOptions::default(),
            keep: None,
            specification: None,
        }
    }
}

/// Why the sandbox could not start or stop.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The address cannot be listened at.
    #[error("cannot listen at {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The state cannot be kept.
    #[error("cannot keep the state: {0}")]
    Keep(#[from] KeepError),
    /// The state of one half cannot be read or written.
    #[error("cannot keep the state: {0}")]
    State(#[from] serde_json::Error),
    /// The admin client cannot be made.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The listener's address makes no URL.
    #[error("the address makes no URL: {0}")]
    Address(#[from] url::ParseError),
    /// A task of the server ended by a panic.
    #[error("the server's task failed: {0}")]
    Task(#[from] tokio::task::JoinError),
}

struct Parts {
    clio: Arc<ClioState>,
    gis: Arc<GisState>,
    gateway: Arc<Gateway>,
    clock: Clock,
}

impl Parts {
    fn state(&self) -> Result<KeptState, serde_json::Error> {
        Ok(KeptState {
            clock_ahead_ms: self.clock.offset().num_milliseconds(),
            clio: self.clio.snapshot()?,
            gis: self.gis.snapshot()?,
        })
    }

    fn keep_at(&self, path: &Path) -> Result<(), SandboxError> {
        Ok(keep::save(path, &self.state()?)?)
    }

    fn take_up(&self, kept: KeptState) -> Result<(), serde_json::Error> {
        self.clock.set_offset(TimeDelta::milliseconds(kept.clock_ahead_ms));
        self.clio.restore(kept.clio)?;
        self.gis.restore(kept.gis)
    }
}

/// The secrets that both systems have given, and the addresses where none may be.
#[derive(Clone)]
pub struct Secrets {
    parts: Arc<Parts>,
}

impl Secrets {
    /// All codes and tokens so far.
    pub fn given(&self) -> Vec<String> {
        [self.parts.clio.secrets(), self.parts.gis.secrets()].concat()
    }

    /// The queries of all addresses that were called.
    pub fn queries(&self) -> Vec<String> {
        self.parts.gateway.queries()
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

/// A running sandbox. Dropping it stops the listener without keeping the last change.
pub struct Sandbox {
    address: SocketAddr,
    url: Url,
    gis_service_url: Url,
    admin: Admin,
    parts: Arc<Parts>,
    keep: Option<PathBuf>,
    keeping: Option<Keeping>,
    shutdown: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
    _stops_when_dropped: DropGuard,
}

/// The task that keeps the state. Dropping it ends it.
struct Keeping {
    keeper: Arc<Keeper>,
    task: Option<JoinHandle<()>>,
}

impl Keeping {
    fn begin(parts: &Arc<Parts>, path: PathBuf) -> Self {
        let keeper = Arc::new(Keeper::default());
        let task = tokio::spawn(keep_changes(Arc::clone(&keeper), Arc::clone(parts), path));
        Self { keeper, task: Some(task) }
    }

    async fn end(mut self) -> Result<(), SandboxError> {
        self.keeper.close();
        match self.task.take() {
            Some(task) => Ok(task.await?),
            None => Ok(()),
        }
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        self.keeper.close();
    }
}

impl Sandbox {
    /// Starts listening. It answers from the moment that this returns.
    pub async fn start(options: SandboxOptions) -> Result<Self, SandboxError> {
        let listener = TcpListener::bind(options.listen)
            .await
            .and_then(|listener| listener.local_addr().map(|address| (listener, address)));
        let (listener, address) =
            listener.map_err(|source| SandboxError::Listen { address: options.listen, source })?;
        let url = Url::parse(&format!("http://{}/", reachable(address)))?;
        let gis_service_url =
            url.join(&format!("arcgis/rest/services/{}/FeatureServer", options.gis.service))?;
        let admin = Admin::at(url.clone())?;

        let mut gis_options = options.gis;
        if let (None, Some(keep)) = (&gis_options.attachment_folder, &options.keep) {
            gis_options.attachment_folder = Some(keep.with_extension("attachments"));
        }
        let clock = Clock::new();
        let mut clio_options = options.clio;
        if let (None, Some(keep)) = (&clio_options.document_folder, &options.keep) {
            clio_options.document_folder = Some(keep.with_extension("documents"));
        }
        let clio = Arc::new(ClioState::new(clock.clone(), clio_options));
        let gis = Arc::new(GisState::new(clock.clone(), gis_options));
        let systems = Router::new()
            .merge(clio::router(Arc::clone(&clio)))
            .nest("/arcgis", gis::router(Arc::clone(&gis)));
        let gateway = Arc::new(Gateway::new(systems, clock.clone(), options.specification));
        let parts = Arc::new(Parts { clio, gis, gateway, clock });
        if let Some(kept) = options.keep.as_deref().map(keep::load).transpose()?.flatten() {
            parts.take_up(kept)?;
        }

        let keeping = options.keep.clone().map(|path| Keeping::begin(&parts, path));
        let shutdown = CancellationToken::new();
        let app = app(&parts, keeping.as_ref()).into_make_service_with_connect_info::<Scissors>();
        let stop = shutdown.clone().cancelled_owned();
        let served = axum::serve(CuttableListener::new(listener), app).with_graceful_shutdown(stop);
        let serving = tokio::spawn(served.into_future());
        let guard = shutdown.clone().drop_guard();
        Ok(Self {
            address,
            url,
            gis_service_url,
            admin,
            parts,
            keep: options.keep,
            keeping,
            shutdown,
            serving,
            _stops_when_dropped: guard,
        })
    }

    /// What Clio's specification says against the exchanges so far, and requests that went beyond the table of the
    /// endpoints in use.
    pub fn violations(&self) -> Vec<String> {
        let strays = self.parts.clio.strays().all().into_iter().map(|stray| format!("{stray:?}"));
        self.parts.gateway.violations().into_iter().chain(strays).collect()
    }

    /// Who may be asked for the secrets that both systems give, as long as they live.
    pub fn secrets(&self) -> Secrets {
        Secrets { parts: Arc::clone(&self.parts) }
    }

    /// The address listened at.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The listener's root, which is `CLIO_URL`.
    pub fn url(&self) -> Url {
        self.url.clone()
    }

    /// The feature service, which is `GIS_SERVICE_URL`.
    pub fn gis_service_url(&self) -> Url {
        self.gis_service_url.clone()
    }

    /// A client of the admin side.
    pub fn admin(&self) -> Admin {
        self.admin.clone()
    }

    /// The clock of both systems.
    pub fn clock(&self) -> Clock {
        self.parts.clock.clone()
    }

    /// Stops listening, lets go what waits at faults, and keeps the state if a file was named.
    pub async fn stop(self) -> Result<(), SandboxError> {
        self.shutdown.cancel();
        self.parts.gateway.faults.clear();
        let mut serving = self.serving;
        if tokio::time::timeout(STOP_WITHIN, &mut serving).await.is_err() {
            serving.abort();
        }
        if let Some(keeping) = self.keeping {
            keeping.end().await?;
        }
        match &self.keep {
            Some(path) => self.parts.keep_at(path),
            None => Ok(()),
        }
    }
}

/// The address that a client on this machine uses: a listener at all addresses is reached at the loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        return SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()));
    }
    address
}

fn app(parts: &Parts, keeping: Option<&Keeping>) -> Router {
    let admin = AdminState {
        gateway: Arc::clone(&parts.gateway),
        clio: Arc::clone(&parts.clio),
        gis: Arc::clone(&parts.gis),
        clock: parts.clock.clone(),
    };
    let noted = middleware::from_fn_with_state(Arc::clone(&parts.gateway), note_admin_change);
    let admin = admin::router(admin).layer(noted);
    let compression = CompressionLayer::new().compress_when(DefaultPredicate::new().and(may_be_compressed));
    let app = Router::new()
        .fallback(gateway::handle)
        .with_state(Arc::clone(&parts.gateway))
        .nest("/admin", admin)
        .layer(DefaultBodyLimit::disable())
        .layer(compression);
    let Some(keeping) = keeping else { return app };
    let state = (Arc::clone(&parts.gateway), Arc::clone(&keeping.keeper));
    app.layer(middleware::from_fn_with_state(state, answer_once_kept))
}

/// Gives an answer only once every change so far is in the file. Answers to reads wait, too: they may show what another
/// request has just changed.
async fn answer_once_kept(
    State((gateway, keeper)): State<(Arc<Gateway>, Arc<Keeper>)>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    if keeper.until_kept(gateway.changes()).await {
        response
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the sandbox stops\n").into_response()
    }
}

/// Has the state kept after an edit by hand, of either system.
async fn note_admin_change(State(gateway): State<Arc<Gateway>>, request: Request, next: Next) -> Response {
    let may_change = request.method() != Method::GET;
    let response = next.run(request).await;
    if may_change {
        gateway.note_change();
    }
    response
}

fn may_be_compressed(_: StatusCode, _: Version, _: &HeaderMap, extensions: &Extensions) -> bool {
    extensions.get::<AsItIs>().is_none()
}

async fn keep_changes(keeper: Arc<Keeper>, parts: Arc<Parts>, path: PathBuf) {
    let gateway = Arc::clone(&parts.gateway);
    let save = || async {
        let (of, to) = (Arc::clone(&parts), path.clone());
        let written = tokio::task::spawn_blocking(move || of.keep_at(&to)).await;
        let written = written.map_err(SandboxError::from).flatten();
        if let Err(error) = &written {
            tracing::error!(%error, "the sandbox's state was not kept; answers wait until it is");
        }
        written.is_ok()
    };
    keeper.run(|| gateway.changes(), save).await;
}
