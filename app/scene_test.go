package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dealpay/dealpay/app/demo"
	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/standintest"
	"github.com/dealpay/dealpay/tenants/tenantstest"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// scene is the whole house in this process, on stores of its own, with the stand-ins around it. Its clock is real time
// plus what the test advances; the stand-ins live in real time.
type scene struct {
	*testing.T
	house    *house
	clock    *standintest.Clock
	app      string // base URL of the house
	stands   string // base URL of the stand-ins
	control  map[string]string
	client   *http.Client // a browser, an integrator, a CRM's or an acquirer's server
	outages  *sync.Map    // hosts of stand-ins that answer 502
	accounts map[crm.System]*account
	stopWork func()
}

// account is one tenant of the scene, with an administrator's key.
type account struct {
	*scene
	demo.Tenant
	id tenants.ID
}

// building bounds how many scenes are set up at once: installations are hurried, as marketplaces are.
var building = make(chan struct{}, 2)

func newScene(t *testing.T, change ...func(*config)) *scene {
	t.Helper()
	building <- struct{}{}
	defer func() { <-building }()
	fixture := tenantstest.DB(t)
	s := &scene{T: t, clock: &standintest.Clock{}, outages: &sync.Map{}, client: demo.LoopbackClient(20 * time.Second), accounts: map[crm.System]*account{}}
	app, stands := httptest.NewUnstartedServer(nil), httptest.NewUnstartedServer(nil)
	suffix := ".localhost:" + portOf(t, stands)
	s.app, s.stands = "http://dealpay.localhost:"+portOf(t, app), "http://127.0.0.1:"+portOf(t, stands)
	s.control = demo.Controls(s.stands)
	standins := demo.NewStandins(s.app, suffix, "1.0.0", demo.LoopbackClient(10*time.Second))
	stands.Config.Handler = s.outside(standins)
	stands.Start()
	t.Cleanup(func() {
		standins.Close()
		stands.Close()
	})
	c := sceneConfig(s.app, suffix)
	c.DatabaseURL, c.RedisURL, c.Keyset = fixture.URL, tenantstest.Redis(t), tenants.Secret(fixture.Keyset)
	for _, do := range change {
		do(&c)
	}
	require.NoError(t, c.check())
	remember(t, c.RedisURL)
	var err error
	s.house, err = buildAt(t.Context(), c, s.clock.Now)
	require.NoError(t, err)
	t.Cleanup(s.house.close)
	app.Config.Handler = s.house.handler()
	app.Start()
	t.Cleanup(app.Close)
	seeder := &demo.Seeder{DB: s.house.db, App: s.app, Controls: s.control, Client: s.client}
	require.NoError(t, seeder.Install(t.Context()))
	s.work()
	seeded, err := seeder.Prepare(t.Context())
	require.NoError(t, err)
	for _, one := range seeded {
		id, err := tenants.Restore(one.ID)
		require.NoError(t, err)
		s.accounts[crm.System(one.CRM)] = &account{scene: s, Tenant: one, id: id}
	}
	return s
}

// remember makes Redis look an hour old, so that CRM calls are not paced as after a loss.
func remember(t *testing.T, url string) {
	options, err := redis.ParseURL(url)
	require.NoError(t, err)
	client := redis.NewClient(options)
	defer func() { _ = client.Close() }()
	require.NoError(t, client.Set(t.Context(), "dp:lim:born", time.Now().Add(-time.Hour).UnixMilli(), 0).Err())
}

func sceneConfig(app, suffix string) config {
	host := func(name string) string { return "http://" + name + suffix }
	return config{PublicURL: app, ListenAddr: "127.0.0.1:0", LogLevel: "error", Concurrency: 8, DBConns: 10, Egress: "default", StrictTokens: true,
		CRMHosts:  []string{"bitrix24.com.localhost", "oauth.bitrix.info.localhost", "oauth.bitrix24.tech.localhost", "amocrm.ru.localhost", "kommo.com.localhost"},
		Bitrix24:  oauthApp{ClientID: demo.Bitrix24ID, ClientSecret: demo.Bitrix24Secret, AuthURL: host("oauth.bitrix.info") + "," + host("oauth.bitrix24.tech")},
		AmoCRM:    oauthApp{ClientID: demo.AmoCRMID, ClientSecret: demo.AmoSecret, AuthURL: host("www.amocrm.ru")},
		Kommo:     oauthApp{ClientID: demo.KommoID, ClientSecret: demo.AmoSecret, AuthURL: host("www.kommo.com")},
		VposAmURL: host("api.vpos.am")}
}

func portOf(t testing.TB, s *httptest.Server) string {
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	require.NoError(t, err)
	return port
}

// outside serves the stand-ins, except those that are down. Their control API answers in any case.
func (s *scene) outside(standins http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, down := s.outages.Load(demo.Name(r.Host)); down && !strings.Contains(r.URL.Path, "/_control/") {
			http.Error(w, "<html><body><h1>502 Bad Gateway</h1></body></html>", http.StatusBadGateway)
			return
		}
		standins.ServeHTTP(w, r)
	})
}

// work starts a worker.
func (s *scene) work() {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.house.work(ctx)
	}()
	s.stopWork = sync.OnceFunc(func() {
		stop()
		<-ended
	})
	s.Cleanup(s.stopWork)
}

// under is the account within a subtest.
func (a *account) under(t *testing.T) *account {
	own, other := *a, *a.scene
	other.T, own.scene = t, &other
	return &own
}
