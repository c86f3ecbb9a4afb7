//go:build linux

package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
)

// The peers' configurations. Each serves both leaves by SNI over TLS 1.3, keeps
// connections to the backend and to clients for as long as they come, verifies
// the backend's certificate on /tls, adds the customary X-Forwarded headers and
// writes an access log to a file. Where a default would hinder a peer in what
// is measured, it is set to what its guide recommends for a busy server.

const nginxConfig = `
daemon off;
{user}
worker_processes {threads};
worker_rlimit_nofile 16384;
pid {dir}/nginx.pid;
error_log {dir}/error.log warn;
events { worker_connections 8192; }
http {
	access_log {dir}/access.log combined buffer=64k flush=1s;
	client_body_temp_path {dir}/body;
	proxy_temp_path {dir}/proxy;
	fastcgi_temp_path {dir}/fastcgi;
	uwsgi_temp_path {dir}/uwsgi;
	scgi_temp_path {dir}/scgi;
	keepalive_timeout 75s;
	keepalive_requests 1000000000;
	ssl_protocols TLSv1.3;
	ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384;
	ssl_ecdh_curve {groups};
	ssl_session_tickets on;
	proxy_http_version 1.1;
	proxy_set_header Connection "";
	proxy_set_header Host $host;
	proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
	proxy_set_header X-Forwarded-Proto https;
	proxy_buffer_size 16k;
	proxy_buffers 16 16k;
	proxy_max_temp_file_size 0;
	upstream plain { server {plain}; keepalive 1024; keepalive_requests 1000000000; }
	upstream secure { server {tls}; keepalive 1024; keepalive_requests 1000000000; }
	server {
		listen {addr} ssl http2 backlog=4096;
		server_name {ecdsa};
		ssl_certificate {ecdsa.crt};
		ssl_certificate_key {ecdsa.key};
		include {dir}/locations;
	}
	server {
		listen {addr} ssl http2;
		server_name {rsa};
		ssl_certificate {rsa.crt};
		ssl_certificate_key {rsa.key};
		include {dir}/locations;
	}
}
`

const nginxLocations = `
location / { proxy_pass http://plain; }
location /tls {
	proxy_pass https://secure;
	proxy_ssl_verify on;
	proxy_ssl_trusted_certificate {roots};
	proxy_ssl_name localhost;
	proxy_ssl_server_name on;
	proxy_ssl_protocols TLSv1.3;
	proxy_ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
}
`

func launchNginx(ctx context.Context, p placing) (*process, string, error) {
	if _, err := p.write("locations", p.expand(nginxLocations, "")); err != nil {
		return nil, "", err
	}
	text, err := versionText(ctx, p.program, "-V")
	if err != nil {
		return nil, "", err
	}
	user := ""
	if os.Geteuid() == 0 { // its workers must reach our folder
		user = "user root;"
	}
	config := strings.NewReplacer("{user}", user, "{groups}", groups(knowsMLKEM(text))).Replace(nginxConfig)
	return p.launchWith(ctx, "nginx.conf", config, "-p", "{dir}", "-c", "{dir}/nginx.conf", "-e", "{dir}/error.log")
}

const haproxyConfig = `
global
	maxconn 8192
	nbthread {threads}
	log stdout format raw local0 info
	ssl-default-bind-options ssl-min-ver TLSv1.3
	ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384
	ssl-default-bind-curves {groups}
	ssl-default-server-ciphersuites TLS_AES_128_GCM_SHA256
defaults
	mode http
	log global
	option httplog
	option forwardfor
	http-reuse always
	timeout connect 10s
	timeout client 75s
	timeout server 30s
	timeout http-keep-alive 75s
frontend clients
	bind {addr} ssl crt {ecdsa.pem} crt {rsa.pem} alpn h2,http/1.1 backlog 4096
	http-request set-header X-Forwarded-Proto https
	use_backend secure if { path /tls }
	default_backend plain
backend plain
	server one {plain}
backend secure
	server one {tls} ssl verify required ca-file {roots} sni str(localhost) verifyhost localhost
`

func launchHAProxy(ctx context.Context, p placing) (*process, string, error) {
	text, err := versionText(ctx, p.program, "-vv")
	if err != nil {
		return nil, "", err
	}
	return p.launchWith(ctx, "haproxy.cfg", strings.ReplaceAll(haproxyConfig, "{groups}", groups(knowsMLKEM(text))), "-db", "-f", "{dir}/haproxy.cfg")
}

const caddyConfig = `
{
	admin off
	persist_config off
	auto_https off
	grace_period 1s
	storage file_system {dir}/storage
	servers {
		protocols h1 h2
	}
	log {
		level WARN
	}
}
(site) {
	bind 127.0.0.1
	log {
		output file {dir}/access.log {
			roll_disabled
		}
	}
	@secure path /tls
	reverse_proxy @secure https://{tls} {
		transport http {
			tls_server_name localhost
			tls_trust_pool file {roots}
			keepalive_idle_conns 2048
			keepalive_idle_conns_per_host 1024
			compression off
			versions 1.1
		}
	}
	reverse_proxy {plain} {
		transport http {
			keepalive_idle_conns 2048
			keepalive_idle_conns_per_host 1024
			compression off
			versions 1.1
		}
	}
}
https://{ecdsa}:{port} {
	tls {ecdsa.crt} {ecdsa.key} {
		protocols tls1.3
	}
	import site
}
https://{rsa}:{port} {
	tls {rsa.crt} {rsa.key} {
		protocols tls1.3
	}
	import site
}
`

func launchCaddy(ctx context.Context, p placing) (*process, string, error) {
	return p.launchWith(ctx, "Caddyfile", caddyConfig, "run", "--config", "{dir}/Caddyfile", "--adapter", "caddyfile")
}

const traefikConfig = `
global: {checkNewVersion: false, sendAnonymousUsage: false}
log: {level: WARN}
accessLog: {filePath: "{dir}/access.log", bufferingSize: 100}
entryPoints:
  clients:
    address: "{addr}"
    http: {tls: {}}
    transport: {lifeCycle: {graceTimeOut: 1s}}
serversTransport: {maxIdleConnsPerHost: 1024}
providers:
  file: {filename: "{dir}/routes.yml", watch: false}
`

const traefikRoutes = `
tls:
  certificates:
    - {certFile: "{ecdsa.crt}", keyFile: "{ecdsa.key}"}
    - {certFile: "{rsa.crt}", keyFile: "{rsa.key}"}
  options:
    default: {minVersion: VersionTLS13}
http:
  routers:
    plain: {rule: "Host(` + "`{ecdsa}`) || Host(`{rsa}`)" + `", service: plain}
    secure: {rule: "(Host(` + "`{ecdsa}`) || Host(`{rsa}`)) && Path(`/tls`)" + `", service: secure}
  services:
    plain: {loadBalancer: {servers: [{url: "http://{plain}"}]}}
    secure: {loadBalancer: {serversTransport: verified, servers: [{url: "https://{tls}"}]}}
  serversTransports:
    verified: {serverName: localhost, rootCAs: ["{roots}"], maxIdleConnsPerHost: 1024, disableHTTP2: true}
`

func launchTraefik(ctx context.Context, p placing) (*process, string, error) {
	return launchTraefikWith(ctx, p, traefikConfig)
}

func launchTraefikFast(ctx context.Context, p placing) (*process, string, error) {
	return launchTraefikWith(ctx, p, traefikConfig+"experimental: {fastProxy: {}}\n")
}

func launchTraefikWith(ctx context.Context, p placing, config string) (*process, string, error) {
	if _, err := p.write("routes.yml", p.expand(traefikRoutes, "")); err != nil {
		return nil, "", err
	}
	return p.launchWith(ctx, "traefik.yml", config, "--configFile="+filepath.Join(p.dir, "traefik.yml"))
}
