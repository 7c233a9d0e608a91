package amotest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm/amo/amotest"
)

const (
	clientID     = "01d01160-d7a0-4087-b4af-6a1bb83fcd1d"
	clientSecret = "test-secret"
)

// fixture is a stand-in, reached by its real host names, and an application that notes what
// is sent to it.
type fixture struct {
	t       *testing.T
	server  *amotest.Server
	account *amotest.Account
	web     *httptest.Server
	app     *httptest.Server
	config  amotest.Config

	mu     sync.Mutex
	calls  []appCall
	answer http.HandlerFunc // of the application; nil answers 200
}

type appCall struct {
	path, query, body, kind, agent string
}

func start(t *testing.T, v amotest.Variant, change func(*amotest.Config)) *fixture {
	f := &fixture{t: t}
	f.app = httptest.NewServer(http.HandlerFunc(f.serveApp))
	f.config = amotest.Config{Variant: v, ClientID: clientID, ClientSecret: clientSecret, AppURL: f.app.URL}
	if change != nil {
		change(&f.config)
	}
	f.server = amotest.New(f.config)
	f.web = httptest.NewServer(f.server)
	f.account = f.server.Account("acme")
	t.Cleanup(func() {
		f.server.Close()
		f.web.Close()
		f.app.Close()
	})
	return f
}

func (f *fixture) serveApp(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	f.calls = append(f.calls, appCall{r.URL.Path, r.URL.RawQuery, string(body), r.Header.Get("Content-Type"), r.UserAgent()})
	answer := f.answer
	f.mu.Unlock()
	if answer != nil {
		answer(w, r)
	}
}

func (f *fixture) answers(h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = h
}

// received are the application's calls on this path so far.
func (f *fixture) received(path string) []appCall {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []appCall
	for _, c := range f.calls {
		if c.path == path {
			out = append(out, c)
		}
	}
	return out
}

// RoundTrip sends a request for a real host name to the stand-in's listener.
func (f *fixture) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Host = r.URL.Host
	r.URL.Scheme, r.URL.Host = "http", strings.TrimPrefix(f.web.URL, "http://")
	return http.DefaultTransport.RoundTrip(r)
}

func (f *fixture) url(path string) string { return f.account.URL() + path }

type result struct {
	status int
	header http.Header
	raw    string
	body   map[string]any
}

// do sends JSON with a bearer token; body "" sends none.
func (f *fixture) do(token, method, url, body string, headers ...string) result {
	req, err := http.NewRequestWithContext(f.t.Context(), method, url, strings.NewReader(body))
	require.NoError(f.t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	answer, err := (&http.Client{Transport: f}).Do(req)
	require.NoError(f.t, err)
	defer func() { _ = answer.Body.Close() }()
	raw, err := io.ReadAll(answer.Body)
	require.NoError(f.t, err)
	out := result{status: answer.StatusCode, header: answer.Header, raw: string(raw)}
	_ = json.Unmarshal(raw, &out.body)
	return out
}

// api calls REST with the administrator's rights, on a fresh second of the stand-in's clock.
func (f *fixture) api(method, path, body string) result {
	f.second()
	return f.do(f.account.TokenFor(amotest.AdminID), method, f.url("/api/v4/"+path), body)
}

// second lets the limits forget what was sent so far.
func (f *fixture) second() { f.account.Control.Clock.Advance(1e9) }

// at digs into decoded JSON: keys and indices.
func at(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}
