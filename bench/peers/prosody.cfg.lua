-- Prosody beside us: Debian's set of modules but for those that limit rates; what a benchmark needs otherwise is said here.
-- @DIR@, @PORT@ and the like are filled in by bench/servers.py.
pidfile = "@DIR@/prosody.pid"
data_path = "@DIR@/data"
log = { warn = "@DIR@/prosody.log" }
daemonize = false

network_backend = "epoll"
-- Halves its CPU (the packaged default is the incremental collector).
gc = { mode = "generational" }

modules_enabled = {
	"disco", "roster", "saslauth", "tls", "blocklist", "bookmarks", "carbons", "dialback", "pep", "private", "smacks",
	"vcard4", "vcard_legacy", "csi_simple", "invites", "invites_adhoc", "invites_register", "ping", "register", "time",
	"uptime", "version", "admin_adhoc", "posix",
	@ARCHIVE_MODULE@
}
-- "limits" (10 kB/s for a client) and "admin_shell" (a port of its own) are left out.
allow_registration = false

interfaces = { "127.0.0.1" }
c2s_ports = { @STARTTLS@ }
c2s_direct_tls_ports = { @TLS@ }
s2s_ports = { }
http_ports = { }
https_ports = { }

authentication = "internal_hashed"
storage = "internal"
@ARCHIVE_STORAGE@
archive_expires_after = "never"
default_archive_policy = true
max_archive_query_results = 50
-- The packaged 10,000 would end a chat in the middle.
storage_archive_item_limit = 1000000000

ssl = { key = "@KEY@", certificate = "@CERTIFICATE@", protocol = "tlsv1_3" }
c2s_direct_tls_ssl = { key = "@KEY@", certificate = "@CERTIFICATE@", protocol = "tlsv1_3" }

VirtualHost "localhost"
	ssl = { key = "@KEY@", certificate = "@CERTIFICATE@", protocol = "tlsv1_3" }
