package egress

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func list(t *testing.T, suffixes ...string) List {
	t.Helper()
	l, err := Parse(suffixes)
	require.NoError(t, err)
	return l
}

func TestOnlyWholeLabelsMatch(t *testing.T) {
	l := list(t, "bitrix24.com", "*.amocrm.ru", ".Kommo.com", "bitrix24.com.localhost", "oauth.bitrix.info")
	for _, host := range []string{"acme.bitrix24.com", "bitrix24.com", "ACME.Bitrix24.COM", "a.b.amocrm.ru", "x.kommo.com",
		"acme.bitrix24.com.localhost", "acme.bitrix24.com.localhost:8090", "oauth.bitrix.info"} {
		require.True(t, l.Allows(host), host)
	}
	for _, host := range []string{"", ".", "evil-bitrix24.com", "evilbitrix24.com", "bitrix24.com.evil.com", "acme.bitrix24.com.",
		"acme.bitrix24.com:443", "acme.bitrix24.com:8090", "user@acme.bitrix24.com", "evil.com@acme.bitrix24.com", "acme.bitrix24.com@evil.com",
		"evil.com/acme.bitrix24.com", "evil.com#.bitrix24.com", "evil.com?.bitrix24.com", `evil.com\.bitrix24.com`, "acme..bitrix24.com",
		".bitrix24.com", "-a.bitrix24.com", "acme.bitrix24.com\r\n", " acme.bitrix24.com", "аcme.bitrix24.com", "acme.bitrix24。com",
		"127.0.0.1", "[::1]", "localhost", "localhost:5432", "other.localhost", "acme.bitrix24.com.localhost:0", "acme.bitrix24.com.localhost:",
		"acme.bitrix24.com.localhost:99999", "acme.bitrix24.com.localhost:08090", "acme.bitrix24.com.localhost:80:80", "a%2ebitrix24.com",
		strings.Repeat("a", 64) + ".bitrix24.com", strings.Repeat("a.", 130) + "bitrix24.com"} {
		require.False(t, l.Allows(host), host)
	}
	require.False(t, List{}.Allows("acme.bitrix24.com"), "an empty list allows nothing")
}

func TestWhateverIsAllowedParsesAsThatHost(t *testing.T) {
	l := list(t, "bitrix24.com", "bitrix24.com.localhost")
	rapid.Check(t, func(t *rapid.T) {
		host := rapid.StringMatching(`[a-zA-Z0-9@:/?#\\.\-%\[\] ]{0,12}[.@/-]?bitrix24\.com(\.localhost)?(:[0-9]{1,5})?[./@a-z]{0,3}`).Draw(t, "host")
		if !l.Allows(host) {
			return
		}
		u, err := url.Parse(URL(host, "/rest/"))
		if err != nil || u.Host != host || u.User != nil || u.Path != "/rest/" ||
			!strings.HasSuffix(strings.ToLower(u.Hostname()), "bitrix24.com") && !strings.HasSuffix(strings.ToLower(u.Hostname()), "bitrix24.com.localhost") {
			t.Fatalf("%q leads to %v, %v", host, u, err)
		}
	})
}

func TestParseRefusesWhatIsNoSuffix(t *testing.T) {
	for _, entry := range []string{"com", "10.0.0.1", "https://bitrix24.com", "bitrix24.com:443", "bit rix.com", "bitrix24.com.", "*", "**.com"} {
		_, err := Parse([]string{entry})
		require.ErrorContains(t, err, entry)
	}
	_, err := Parse([]string{"", "localhost", " bitrix24.com "})
	require.NoError(t, err)
}

func TestURLChoosesTheScheme(t *testing.T) {
	require.Equal(t, "https://acme.amocrm.ru/oauth2/access_token", URL("acme.amocrm.ru", "/oauth2/access_token"))
	require.Equal(t, "http://acme.amocrm.ru.localhost:8090/x", URL("acme.amocrm.ru.localhost:8090", "x"))
	require.Equal(t, "https://localhost.evil.com/x", URL("localhost.evil.com", "x"))
}

// serve starts a plain server and returns its port.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	return port
}

func never(context.Context, string) ([]netip.Addr, error) {
	return nil, errors.New("nobody may ask the DNS here")
}

func TestLocalhostNamesNeedNoDNS(t *testing.T) {
	var host string
	port := serve(t, func(w http.ResponseWriter, r *http.Request) {
		host = r.Host
		http.Redirect(w, r, "http://elsewhere.localhost/", http.StatusFound)
	})
	c := client(list(t, "bitrix24.com.localhost"), time.Second, 1000, never)
	response, err := c.Get("http://acme.bitrix24.com.localhost:" + port + "/rest/")
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusFound, response.StatusCode, "redirects are answers")
	require.Equal(t, "acme.bitrix24.com.localhost:"+port, host)
}

func TestRefusedBeforeAnythingIsResolvedOrSent(t *testing.T) {
	port := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request got out") })
	c := client(list(t, "bitrix24.com", "bitrix24.com.localhost"), time.Second, 1000, func(_ context.Context, host string) ([]netip.Addr, error) {
		t.Error("resolved", host)
		return nil, nil
	})
	for _, target := range []string{"https://evil.com/", "http://acme.bitrix24.com/", "https://acme.bitrix24.com:8443/", "https://user:pw@acme.bitrix24.com/",
		"http://127.0.0.1:" + port, "http://other.localhost:" + port, "https://acme.bitrix24.com.localhost:" + port, "http://localhost:" + port} {
		_, err := c.Post(target, "text/plain", strings.NewReader("secret"))
		require.ErrorIs(t, err, ErrRefused, target)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://acme.bitrix24.com.localhost:"+port, nil)
	require.NoError(t, err)
	request.Host = "evil.com"
	_, err = c.Do(request)
	require.ErrorIs(t, err, ErrRefused, "the Host header names the same host")
}

func TestPrivateAddressesAreRefusedAfterResolution(t *testing.T) {
	for _, answer := range []string{"127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "::1", "::",
		"fe80::1", "fd00::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "224.0.0.1", "255.255.255.255", "198.18.0.1", "192.88.99.1",
		"::127.0.0.1", "::7f00:1", "::ffff:0:7f00:1", "64:ff9b:1::a00:1", "fec0::1", "2001::7f00:1", "3fff::1", "5f00::1"} {
		c := client(list(t, "bitrix24.com"), time.Second, 1000, func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr(answer)}, nil
		})
		_, err := c.Get("https://acme.bitrix24.com/")
		require.ErrorIs(t, err, ErrRefused, answer)
	}
	for _, answer := range []string{"8.8.8.8", "2606:4700::1111", "93.184.216.34"} {
		require.True(t, public(netip.MustParseAddr(answer)), answer)
	}
}

func TestTheCheckedAddressIsTheDialledOne(t *testing.T) {
	asked := 0
	c := client(list(t, "bitrix24.com"), time.Second, 1000, func(context.Context, string) ([]netip.Addr, error) {
		if asked++; asked > 1 {
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		}
		return nil, nil
	})
	_, err := c.Get("https://acme.bitrix24.com/")
	require.ErrorIs(t, err, ErrRefused)
	require.Equal(t, 1, asked, "a name is resolved once for each connection")
}

func TestBodiesAndTimeAreBounded(t *testing.T) {
	port := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-r.Context().Done()
			return
		}
		_, _ = io.WriteString(w, strings.Repeat("x", len(r.URL.Path)*100))
	})
	c := client(list(t, "amocrm.ru.localhost"), 200*time.Millisecond, 1000, never)
	read := func(path string) (int, error) {
		response, err := c.Get("http://a.amocrm.ru.localhost:" + port + path)
		if err != nil {
			return 0, err
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		return len(body), err
	}
	n, err := read("/12345678")
	require.NoError(t, err)
	require.Equal(t, 900, n)
	n, err = read("/123456789")
	require.NoError(t, err, "exactly the bound")
	require.Equal(t, 1000, n)
	_, err = read("/1234567890")
	require.ErrorIs(t, err, ErrTooLarge)
	_, err = read("/slow")
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestAPortIsAllowedOnlyWhereItIsNamed(t *testing.T) {
	base, err := Parse([]string{"arca.am"})
	require.NoError(t, err)
	l := base.And("ipaytest.arca.am:8445", "no-port.example", "bad host:1", "10.0.0.1.:7")
	require.True(t, l.Allows("ipaytest.arca.am:8445"))
	require.True(t, l.Allows("IPAYTEST.arca.am:8445"))
	require.False(t, l.Allows("ipaytest.arca.am:8446"))
	require.False(t, l.Allows("ipay.arca.am:8445"))
	require.False(t, l.Allows("no-port.example"))
	require.False(t, base.Allows("ipaytest.arca.am:8445"), "the first list stays what it was")
}
