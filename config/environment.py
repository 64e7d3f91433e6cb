"""Which inherited variables an agent gets: those that every program needs, and those its profile names.

One CLI's variables change another's behaviour (a session id, a config folder, a base URL) and its keys are
nobody else's business, so nothing is passed on that was not named; decision 0020."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .fleet import Profile

EVERYBODY = (
    # who, where and in which language
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "HOSTNAME", "LANG", "LANGUAGE", "LC_*", "TZ", "TMPDIR",
    "TEMP", "TMP", "XDG_*", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS",
    "EDITOR", "VISUAL", "PAGER", "BROWSER", "TERM", "TERMINFO", "TERMINFO_DIRS", "COLORTERM", "NO_COLOR",
    "TMUX_TMPDIR",
    # the way out
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "FTP_PROXY",
    "http_proxy", "https_proxy", "all_proxy", "no_proxy", "ftp_proxy",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS",
    "NODE_USE_SYSTEM_CA", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "PIP_CERT", "CARGO_HTTP_CAINFO",
    "AWS_CA_BUNDLE", "DENO_CERT", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "PIP_CONFIG_FILE", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_CONFIG_FILE", "UV_INDEX_URL",
    "UV_DEFAULT_INDEX", "NPM_CONFIG_USERCONFIG", "NPM_CONFIG_REGISTRY", "npm_config_registry",
    "SSH_AUTH_SOCK", "SSH_AGENT_PID", "GPG_AGENT_INFO", "GNUPGHOME", "KRB5CCNAME",
    # who signs a commit, and where programs and their caches lie
    "GIT_AUTHOR_*", "GIT_COMMITTER_*", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM",
    "GIT_SSH", "GIT_SSH_COMMAND", "GIT_EXEC_PATH", "EMAIL", "LD_LIBRARY_PATH", "NIX_*", "LOCALE_ARCHIVE",
    "VIRTUAL_ENV", "CONDA_*", "PYENV_ROOT", "PIPX_HOME", "UV_CACHE_DIR", "NVM_DIR", "FNM_DIR", "VOLTA_HOME",
    "PNPM_HOME", "BUN_INSTALL", "JAVA_HOME", "GOPATH", "GOROOT", "GOBIN", "GOPROXY", "CARGO_HOME",
    "RUSTUP_HOME", "ANDROID_HOME", "SDKMAN_DIR", "ASDF_DIR", "ASDF_DATA_DIR", "MISE_DATA_DIR", "DOCKER_HOST",
    # our own: where `hhmrs`, called by an agent, finds its fleet
    "HHMRS_STATE_DIR",
)  # fmt: skip
"""Variables that every program needs; a `*` stands for any letters. None of them is a key of a provider."""
_SECRETS = ("*_API_KEY", "*_TOKEN", "*_BASE_URL", "*_API_BASE", "*_APIKEY", "*_AUTH_TOKEN")
"""Names that keys and addresses of providers have."""


def passed(profile: Profile, environ: Mapping[str, str]) -> dict[str, str]:
    """What of `environ` an agent with this profile inherits; all, where the profile does not choose."""
    kept = dict(environ) if profile.pass_env is None else _chosen((*EVERYBODY, *profile.pass_env), environ)
    for name in _chosen(profile.unset_env, kept):
        del kept[name]
    return kept


def missed(profile: Profile, environ: Mapping[str, str], given: Iterable[str] = ()) -> list[str]:
    """Names in `environ` that look like this CLI's own, or like a provider's, and that it does not inherit.
    `given`: names that it gets in another way."""
    if profile.pass_env is None:
        return []
    known = {*passed(profile, environ), *_chosen(profile.unset_env, environ), *profile.env, *given}
    program = profile.command[0].rpartition("/")[2] if profile.command else profile.name
    own = tuple(f"{_spelled(name)}_*" for name in (profile.name, program))
    looked = _chosen((*own, *_SECRETS), environ)
    return sorted(name for name, value in looked.items() if value and name not in known)


def _spelled(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name.upper())


def _chosen(patterns: Iterable[str], environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` less all that no pattern names. A `*` stands at the beginning of a pattern or at its end."""
    wanted = tuple(patterns)
    exact = {name for name in wanted if "*" not in name}
    begins = tuple(name[:-1] for name in wanted if name.endswith("*"))
    ends = tuple(name[1:] for name in wanted if name.startswith("*"))
    return {
        name: value
        for name, value in environ.items()
        if name in exact or (begins and name.startswith(begins)) or (ends and name.endswith(ends))
    }
