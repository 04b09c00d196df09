"""Reverse proxies in front of an Ollama that listens on loopback."""

from __future__ import annotations

from tests.lab.scenario import LOGIN, NOTHING, OPEN, OTHER, Scenario


def nginx(server: str, *, listen: str = "listen 80; listen [::]:80;", around: str = "") -> str:
    """Set-up: one nginx server, as a site of Debian's package."""
    return f"""
        rm /etc/nginx/sites-enabled/default
        printf 'ada:%s\\n' "$(openssl passwd -apr1 secret)" >/etc/nginx/users
        cat >/etc/nginx/sites-available/ollama <<'END'
        {around}
        server {{
          {listen}
          {server}
        }}
END
        ln -s /etc/nginx/sites-available/ollama /etc/nginx/sites-enabled/
        systemctl start nginx
        until_open 80
    """


def caddy(site: str) -> str:
    """Set-up: one site in the Caddyfile."""
    return f"""
        users=$(caddy hash-password --plaintext secret)
        cat >/etc/caddy/Caddyfile <<END
{site}
END
        systemctl start caddy
        until_open 80
    """


def haproxy(front: str, *, users: bool = False) -> str:
    """Set-up: one frontend on port 80 and Ollama as its backend."""
    userlist = "userlist people\n  user ada insecure-password secret\n" if users else ""
    return f"""
        cat >>/etc/haproxy/haproxy.cfg <<'END'
{userlist}
frontend web
  bind :80
  bind :::80 v6only
  {front}
  default_backend ollama
backend ollama
  server one 127.0.0.1:11434
END
        systemctl start haproxy
        until_open 80
    """


def apache(inside: str) -> str:
    """Set-up: one virtual host with the proxy modules that Debian ships."""
    return f"""
        a2enmod -q proxy proxy_http rewrite auth_basic authn_file authz_user
        printf 'ada:%s\n' "$(openssl passwd -apr1 secret)" >/etc/apache2/users
        cat >/etc/apache2/sites-available/000-default.conf <<'END'
<VirtualHost *:80>
{inside}
</VirtualHost>
END
        systemctl start apache2
        until_open 80
    """


def lighttpd(text: str, *modules: str) -> str:
    """Set-up: mod_proxy for everything, as a file of Debian's conf-enabled."""
    loaded = ", ".join(f'"mod_{name}"' for name in (*modules, "proxy"))
    return f"""
        printf 'ada:%s\n' "$(openssl passwd -apr1 secret)" >/etc/lighttpd/users
        rm /etc/lighttpd/conf-enabled/*
        cat >/etc/lighttpd/conf-enabled/90-ollama.conf <<'END'
server.modules += ( {loaded} )
auth.backend = "htpasswd"
auth.backend.htpasswd.userfile = "/etc/lighttpd/users"
proxy.server = ( "" => ( ( "host" => "127.0.0.1", "port" => 11434 ) ) )
{text}
END
        systemctl start lighttpd
        until_open 80
    """


LIGHTTPD_LOGIN = """auth.require = ( "" =>
  ( "method" => "basic", "realm" => "Ollama", "require" => "valid-user" ) )"""
OPEN_TO_ALL = {"lan? -> lan?:80": OPEN, "internet? -> lan?:80": OPEN}
LOCKED = {"lan? -> lan?:80": LOGIN}
APACHE_LOGIN = """
    AuthType Basic
    AuthName Ollama
    AuthUserFile /etc/apache2/users
    Require valid-user
"""
PROXY_PASS = "ProxyPass / http://127.0.0.1:11434/"

PASS = "proxy_pass http://127.0.0.1:11434;"
BASIC = "auth_basic Ollama; auth_basic_user_file /etc/nginx/users;"

SCENARIOS = [
    Scenario(
        name="unit-address-lists",
        about="systemd keeps all but the LAN from nginx and from a socket, an uplink from all",
        setup="""
            cat >/etc/nginx/sites-available/default <<'END'
server {
  listen 8080; listen [::]:8080;
  location / { proxy_pass http://127.0.0.1:11434; proxy_set_header Host localhost; }
}
END
            only="IPAddressDeny=any\nIPAddressAllow=localhost 192.168.77.0/24"
            cd /etc/systemd/system
            mkdir nginx.service.d system.slice.d
            printf "[Service]\n$only\n" >nginx.service.d/lists.conf
            printf '[Slice]\nIPAddressDeny=198.51.100.0/24\n' >system.slice.d/lists.conf
            printf "[Socket]\nListenStream=8081\n$only\n" >front.socket
            printf '[Socket]\nListenStream=8082\n' >open.socket
            for name in front open; do
              printf '[Service]\nExecStart=/lib/systemd/systemd-socket-proxyd 127.0.0.1:11434\n' \
                >$name.service
            done
            systemctl daemon-reload
            systemctl start nginx front.socket open.socket
            until_open 8080
        """,
        ports=(8080, 8081, 8082),
        truth={
            "lan4 -> lan4": OPEN,
            "lan6 -> lan6:8082": OPEN,
            "lan6 -> lan6:808[01]": NOTHING,
            "near4 -> *": NOTHING,
        },
    ),
    Scenario(
        name="nginx-open",
        about="nginx as in Ollama's FAQ: no login, Host rewritten",
        setup=nginx(f"location / {{ {PASS} proxy_set_header Host localhost:11434; }}"),
        ports=(80, 11434),
        truth={"lan? -> lan?:80": OPEN, "internet? -> lan?:80": OPEN, "lan? -> *:11434": NOTHING},
    ),
    Scenario(
        name="nginx-login",
        about="nginx with basic authentication for everything",
        setup=nginx(f"{BASIC} location / {{ {PASS} }}"),
        ports=(80, 11434),
        truth={"lan? -> lan?:80": LOGIN, "self4 -> lo4:11434": OPEN},
    ),
    Scenario(
        name="nginx-login-on-part",
        about="nginx with a login for /, and /api exempt for an editor's plug-in",
        setup=nginx(f"{BASIC} location / {{ {PASS} }} location /api/ {{ auth_basic off; {PASS} }}"),
        ports=(80,),
        truth={"lan? -> lan?:80": OPEN},
        findings={"login-covers-part-of-api": "fail"},
    ),
    Scenario(
        name="nginx-allow-list",
        about="nginx that allows the LAN's IPv4 and nobody else",
        setup=nginx(f"allow 192.168.77.0/24; deny all; location / {{ {PASS} }}"),
        ports=(80,),
        truth={"lan4 -> lan4:80": OPEN},
    ),
    Scenario(
        name="nginx-satisfy-any",
        about="nginx: the LAN freely, everybody else with a login",
        setup=nginx(
            f"satisfy any; allow 192.168.77.0/24; deny all; {BASIC} location / {{ {PASS} }}"
        ),
        ports=(80,),
        truth={"lan4 -> lan4:80": OPEN, "internet4 -> lan4:80": LOGIN},
    ),
    Scenario(
        name="nginx-behind-nginx",
        about="an outer nginx without a login in front of an inner one that allows loopback",
        setup=nginx(
            "location / { proxy_pass http://127.0.0.1:8080; }",
            around=(
                "server { listen 127.0.0.1:8080; allow 127.0.0.1; deny all; "
                f"location / {{ {PASS} }} }}"
            ),
        ),
        ports=(80, 8080),
        truth={"lan? -> lan?:80": OPEN, "lan? -> lan?:8080": NOTHING, "self4 -> lo4:8080": OPEN},
    ),
    Scenario(
        name="nginx-upstream-name",
        about="nginx that sends the name of its upstream group, which Ollama answers with 403",
        setup=nginx(
            "location / { proxy_pass http://ollama; }",
            around="upstream ollama { server 127.0.0.1:11434; }",
        ),
        ports=(80,),
        truth={"lan? -> lan?:80": OTHER},
    ),
    Scenario(
        name="nginx-key",
        about="nginx that wants a bearer token",
        setup=nginx(
            f'if ($http_authorization != "Bearer 0123456789abcdef") {{ return 401; }} '
            f"location / {{ {PASS} }}"
        ),
        ports=(80,),
        truth={"lan? -> lan?:80": LOGIN},
    ),
    Scenario(
        name="caddy-open",
        about="Caddy that passes everything on",
        setup=caddy(":80 {\n reverse_proxy 127.0.0.1:11434\n}"),
        ports=(80,),
        truth=OPEN_TO_ALL,
    ),
    Scenario(
        name="caddy-login",
        about="Caddy with basic authentication for everything",
        setup=caddy(":80 {\n basicauth {\n ada $users\n }\n reverse_proxy 127.0.0.1:11434\n}"),
        ports=(80,),
        truth=LOCKED,
    ),
    Scenario(
        name="caddy-login-on-part",
        about="Caddy with a login for /v1 only",
        setup=caddy(
            ":80 {\n basicauth /v1/* {\n ada $users\n }\n reverse_proxy 127.0.0.1:11434\n}"
        ),
        ports=(80,),
        truth=OPEN_TO_ALL,
        findings={"login-covers-part-of-api": "fail"},
    ),
    Scenario(
        name="caddy-allow-list",
        about="Caddy that serves the LAN's IPv4 and nobody else",
        setup=caddy(
            ":80 {\n @far not remote_ip 192.168.77.0/24\n respond @far 403\n"
            " reverse_proxy 127.0.0.1:11434\n}"
        ),
        ports=(80,),
        truth={"lan4 -> lan4:80": OPEN},
    ),
    Scenario(
        name="haproxy-open",
        about="HAProxy that passes everything on",
        setup=haproxy("mode http"),
        ports=(80,),
        truth=OPEN_TO_ALL,
    ),
    Scenario(
        name="haproxy-tcp",
        about="HAProxy that passes on bytes",
        setup=haproxy("mode tcp").replace("backend ollama", "backend ollama\n  mode tcp"),
        ports=(80,),
        truth=OPEN_TO_ALL,
    ),
    Scenario(
        name="haproxy-login",
        about="HAProxy with basic authentication for everything",
        setup=haproxy("http-request auth unless { http_auth(people) }", users=True),
        ports=(80,),
        truth=LOCKED,
    ),
    Scenario(
        name="haproxy-login-on-part",
        about="HAProxy with a login for all but /api/tags",
        setup=haproxy(
            "acl listing path_beg /api/tags\n"
            "  http-request auth unless listing || { http_auth(people) }",
            users=True,
        ),
        ports=(80,),
        truth=OPEN_TO_ALL,
        findings={"login-covers-part-of-api": "fail"},
    ),
    Scenario(
        name="haproxy-allow-list",
        about="HAProxy that denies all but the LAN's IPv4",
        setup=haproxy("http-request deny unless { src 192.168.77.0/24 }"),
        ports=(80,),
        truth={"lan4 -> lan4:80": OPEN},
    ),
    Scenario(
        name="apache-open",
        about="Apache that passes everything on",
        setup=apache(PROXY_PASS),
        ports=(80,),
        truth=OPEN_TO_ALL,
    ),
    Scenario(
        name="apache-login",
        about="Apache with basic authentication for everything",
        setup=apache(f"{PROXY_PASS}\n<Location />{APACHE_LOGIN}</Location>"),
        ports=(80,),
        truth=LOCKED,
    ),
    Scenario(
        name="apache-login-on-part",
        about="Apache with a login for all but /api/tags",
        setup=apache(
            f"{PROXY_PASS}\n<Location />{APACHE_LOGIN}</Location>\n"
            "<Location /api/tags>\nRequire all granted\n</Location>"
        ),
        ports=(80,),
        truth=OPEN_TO_ALL,
        findings={"login-covers-part-of-api": "fail"},
    ),
    Scenario(
        name="apache-allow-list",
        about="Apache that requires an address of the LAN",
        setup=apache(f"{PROXY_PASS}\n<Location />\nRequire ip 192.168.77.0/24\n</Location>"),
        ports=(80,),
        truth={"lan4 -> lan4:80": OPEN},
    ),
    Scenario(
        name="lighttpd-open",
        about="lighttpd that passes everything on under Ollama's own name",
        setup=lighttpd('proxy.header = ( "map-host-request" => ( "-" => "localhost" ) )'),
        ports=(80, 11434),
        truth=OPEN_TO_ALL | {"lan? -> *:11434": NOTHING},
    ),
    Scenario(
        name="lighttpd-login",
        about="lighttpd with basic authentication for everything",
        setup=lighttpd(LIGHTTPD_LOGIN, "auth", "authn_file"),
        ports=(80,),
        truth=LOCKED,
    ),
    Scenario(
        name="lighttpd-login-on-part",
        about="lighttpd whose login is taken away again for an editor's plug-in",
        setup=lighttpd(
            f'{LIGHTTPD_LOGIN}\n$HTTP["url"] =~ "^/api/(tags|chat)" {{ auth.require = () }}',
            "auth",
            "authn_file",
        ),
        ports=(80,),
        truth=OPEN_TO_ALL,
        findings={"login-covers-part-of-api": "fail"},
    ),
    Scenario(
        name="lighttpd-login-not-loaded",
        about="lighttpd with a login in its configuration and without the module for it",
        setup=lighttpd(LIGHTTPD_LOGIN),
        ports=(80,),
        truth=OPEN_TO_ALL,
    ),
    Scenario(
        name="lighttpd-allow-list",
        about="lighttpd that refuses everybody but the LAN's IPv4, and on a second port IPv4",
        setup=lighttpd(
            '$HTTP["remote-ip"] != "192.168.77.0/24" { url.access-deny = ( "" ) }\n'
            '$SERVER["socket"] == ":8080" { url.access-deny = ( "" ) }\n'
            '$SERVER["socket"] == "[::]:8080" { url.access-deny = () }',
        ),
        ports=(80, 8080),
        truth={
            "lan4 -> lan4:80": OPEN,
            "lan4 -> lan4:8080": OTHER,
            "internet4 -> lan4:80": OTHER,
            "internet6 -> lan6:80": OTHER,
            "internet6 -> lan6:8080": OPEN,
        },
    ),
]
