// Package egress is the way out: an HTTP client that reaches only hosts on a list. Hosts come to us from strangers (a
// portal's DOMAIN, an account's referer), and secrets are posted to them.
package egress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrRefused is wrapped by every refusal to contact a host.
var ErrRefused = errors.New("egress: host not allowed")

// ErrTooLarge is returned by reading a body beyond the client's bound.
var ErrTooLarge = errors.New("egress: answer too large")

// List holds the host suffixes that may be contacted. The zero value allows nothing.
type List struct {
	suffixes []string
	ports    []string // hosts with the one port that they may be contacted at
}

// And returns the list with hosts that serve at a port of their own, such as "ipaytest.arca.am:8445"; only that very
// host and port is added. One without a port, or that is no plain name, is left out.
func (l List) And(hosts ...string) List {
	ports := slices.Clone(l.ports)
	for _, host := range hosts {
		name, port, found := strings.Cut(strings.ToLower(host), ":")
		if n, err := strconv.ParseUint(port, 10, 16); found && err == nil && n > 0 && plain(name) && strings.Contains(name, ".") {
			ports = append(ports, name+":"+port)
		}
	}
	return List{l.suffixes, ports}
}

// Parse makes a list of host suffixes such as "bitrix24.com", which allows the host itself and everything below it.
// Upper case and a leading "." or "*." are tolerated; addresses, ports and bare top-level names are not.
func Parse(suffixes []string) (List, error) {
	var l List
	for _, entry := range suffixes {
		suffix := strings.ToLower(strings.TrimSpace(entry))
		if suffix == "" {
			continue
		}
		suffix = strings.TrimPrefix(strings.TrimPrefix(suffix, "*"), ".")
		if !plain(suffix) || !strings.Contains(suffix, ".") && suffix != "localhost" {
			return List{}, fmt.Errorf("%q is no host suffix: expected a name such as bitrix24.com", entry)
		}
		if _, err := netip.ParseAddr(suffix); err == nil {
			return List{}, fmt.Errorf("%q is an address: expected a name such as bitrix24.com", entry)
		}
		l.suffixes = append(l.suffixes, suffix)
	}
	return l, nil
}

// Allows says whether host (a bare name; with a port only under localhost) is on the list.
func (l List) Allows(host string) bool {
	host = strings.ToLower(host)
	if slices.Contains(l.ports, host) {
		return true
	}
	name, port, found := strings.Cut(host, ":")
	if found {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 || port[0] == '0' || !local(name) {
			return false
		}
	}
	if !plain(name) {
		return false
	}
	for _, suffix := range l.suffixes {
		if name == suffix || strings.HasSuffix(name, "."+suffix) {
			return true
		}
	}
	return false
}

// plain says whether name consists of ordinary labels: no user, path, dot at the end, or letters beyond ASCII.
func plain(name string) bool {
	if len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range label {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
				return false
			}
		}
	}
	return true
}

// local says whether name means this machine (RFC 6761).
func local(name string) bool {
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}

// URL joins host and path: https everywhere but under localhost, where the stand-ins speak plain HTTP.
func URL(host, path string) string {
	name, _, _ := strings.Cut(host, ":")
	return scheme(name) + "://" + host + "/" + strings.TrimPrefix(path, "/")
}

func scheme(name string) string {
	if local(strings.ToLower(name)) {
		return "http"
	}
	return "https"
}

// Client returns a client that reaches only hosts on the list, by https (plain HTTP under localhost), on public
// addresses (loopback under localhost), within timeout for a whole exchange and with at most maxBody bytes of answer.
// It follows no redirect: the 3xx itself is the answer. Refusals wrap ErrRefused.
func Client(l List, timeout time.Duration, maxBody int64) *http.Client {
	return client(l, timeout, maxBody, func(ctx context.Context, host string) ([]netip.Addr, error) {
		return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	})
}

type lookup func(ctx context.Context, host string) ([]netip.Addr, error)

func client(l List, timeout time.Duration, maxBody int64, find lookup) *http.Client {
	transport := &http.Transport{
		DialContext:            dialer{find, net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}}.dial,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  timeout,
		IdleConnTimeout:        90 * time.Second,
		MaxIdleConnsPerHost:    8,
		MaxIdleConns:           512,
		MaxResponseHeaderBytes: 64 << 10,
	}
	return &http.Client{
		Timeout:       timeout,
		Transport:     &gate{l, maxBody, transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// gate looks at every request before anything is resolved or sent.
type gate struct {
	list    List
	maxBody int64
	next    *http.Transport
}

func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.User != nil || r.URL.Scheme != scheme(r.URL.Hostname()) || !g.list.Allows(r.URL.Host) || r.Host != "" && r.Host != r.URL.Host {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, fmt.Errorf("%w: %s", ErrRefused, r.URL.Host)
	}
	response, err := g.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	response.Body = &bounded{response.Body, g.maxBody}
	return response, nil
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach the transport.
func (g *gate) CloseIdleConnections() { g.next.CloseIdleConnections() }

// bounded fails, rather than ends, where the bound is exceeded: a cut answer must not look like a whole one.
type bounded struct {
	io.ReadCloser
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		return 0, ErrTooLarge
	}
	return n, err
}

// dialer connects to the very address it checked, so that a second answer of the DNS cannot lead elsewhere.
type dialer struct {
	find lookup
	net  net.Dialer
}

func (d dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if local(strings.ToLower(host)) {
		return d.net.DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
	}
	found, err := d.find(ctx, host)
	if err != nil {
		return nil, err
	}
	for _, ip := range found {
		if !public(ip) {
			return nil, fmt.Errorf("%w: %s leads to the address %s", ErrRefused, host, ip)
		}
	}
	err = fmt.Errorf("%w: %s has no address", ErrRefused, host)
	for _, ip := range found {
		var conn net.Conn
		if conn, err = d.net.DialContext(ctx, network, net.JoinHostPort(ip.Unmap().String(), port)); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// special are address ranges that are no place on the public Internet, beyond those that netip knows (RFC 6890), and
// those that carry an IPv4 address inside.
var special = func() []netip.Prefix {
	var prefixes []netip.Prefix
	for _, text := range []string{"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24",
		"192.88.99.0/24", "203.0.113.0/24", "240.0.0.0/4", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"} {
		prefixes = append(prefixes, netip.MustParsePrefix(text))
	}
	return prefixes
}()

// unicast is all of IPv6 that is given out for the public Internet (RFC 4291, 2.4 and IANA's registry).
var unicast = netip.MustParsePrefix("2000::/3")

func public(ip netip.Addr) bool {
	ip = ip.Unmap()
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.Zone() != "" || ip.Is6() && !unicast.Contains(ip) {
		return false
	}
	for _, prefix := range special {
		if prefix.Contains(ip) {
			return false
		}
	}
	return true
}
