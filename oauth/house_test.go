package oauth_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/crm/amo/amotest"
	"github.com/dealpay/dealpay/crm/bitrix24/bitrix24test"
	"github.com/dealpay/dealpay/oauth"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/egress"
	"github.com/dealpay/dealpay/tenants/outbox"
	"github.com/dealpay/dealpay/tenants/standintest"
	"github.com/dealpay/dealpay/tenants/tenantstest"
)

const (
	bitrixClient = "app.5f0c6b0e7a1b2.12345678"
	amoClient    = "0b0123f4-d123-4123-9123-e09f123456c0"
	kommoClient  = "1c0123f4-d123-4123-9123-e09f123456c1"
	secret       = "hush-hush-secret"
	acme         = "acme.bitrix24.com"
)

var suffixes = []string{"bitrix24.com.localhost", "bitrix.info.localhost", "bitrix24.tech.localhost", "amocrm.ru.localhost", "kommo.com.localhost"}

// house is the service with its routes, and the stand-ins of all CRMs, on loopback.
type house struct {
	*testing.T
	*tenantstest.Fixture
	oauth  *oauth.Service
	app    string // URL
	suffix string // of the stand-ins' hosts
	bitrix *bitrix24test.Server
	amo    map[crm.System]*amotest.Server
	clock  *standintest.Clock
	clocks []*standintest.Clock // everybody's
	log    *safeBuffer
	client *http.Client // a browser or a CRM's server
	woken  chan tenants.Reminder
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func allow(t testing.TB, names ...string) egress.List {
	list, err := egress.Parse(names)
	require.NoError(t, err)
	return list
}

// config is the service's, against stand-ins under suffix.
func config(t testing.TB, db *tenants.DB, suffix, app string, now func() time.Time) oauth.Config {
	list := allow(t, suffixes...)
	return oauth.Config{DB: db, HTTP: egress.Client(list, 20*time.Second, 4<<20), Allow: list.Allows, PublicURL: app,
		Bitrix24: oauth.App{ClientID: bitrixClient, ClientSecret: secret,
			AuthURL: "http://" + bitrix24test.AuthHost + suffix + ", http://" + bitrix24test.AuthHostEast + suffix},
		AmoCRM: oauth.App{ClientID: amoClient, ClientSecret: secret, AuthURL: "http://www.amocrm.ru" + suffix},
		Kommo:  oauth.App{ClientID: kommoClient, ClientSecret: secret, OldSecret: "older", AuthURL: "http://www.kommo.com" + suffix + "/oauth"},
		Now:    now, Log: slog.New(slog.DiscardHandler)}
}

func newHouse(t *testing.T) *house {
	h := &house{T: t, Fixture: tenantstest.DB(t), clock: &standintest.Clock{}, log: &safeBuffer{}, amo: map[crm.System]*amotest.Server{},
		client: egress.Client(allow(t, "localhost"), 20*time.Second, 4<<20), woken: make(chan tenants.Reminder, 10_000)}
	h.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	h.DB.Wake = func(r []tenants.Reminder) {
		for _, one := range r {
			h.woken <- one
		}
	}
	stands, app := httptest.NewUnstartedServer(nil), httptest.NewUnstartedServer(nil)
	h.suffix, h.app = ".localhost:"+port(t, stands), "http://dealpay.localhost:"+port(t, app)
	h.bitrix = bitrix24test.New(bitrix24test.Config{ClientID: bitrixClient, ClientSecret: secret, AppCode: "dealpay", AppURL: h.app, HTTP: h.client,
		PublicSuffix: h.suffix, Portals: []string{acme, "other.bitrix24.com"}})
	t.Cleanup(h.bitrix.Close)
	for system, c := range map[crm.System]amotest.Config{
		crm.AmoCRM: {Variant: amotest.AmoCRM, ClientID: amoClient, StrictRefresh: true},
		crm.Kommo:  {Variant: amotest.Kommo, ClientID: kommoClient},
	} {
		c.ClientSecret, c.AppURL, c.HTTP, c.PublicSuffix, c.Accounts = secret, h.app, h.client, h.suffix, []string{"acme", "other"}
		h.amo[system] = amotest.New(c)
		t.Cleanup(h.amo[system].Close)
	}
	h.clocks = []*standintest.Clock{h.clock}
	for _, host := range []string{acme, "other.bitrix24.com"} {
		h.clocks = append(h.clocks, h.bitrix.Portal(host).Control.Clock)
	}
	for _, s := range h.amo {
		h.clocks = append(h.clocks, s.Account("acme").Control.Clock, s.Account("other").Control.Clock)
	}
	c := config(t, h.DB, h.suffix, h.app, h.clock.Now)
	c.Log = slog.New(slog.NewTextHandler(h.log, nil))
	c.Pacer = func(crm.System, string, bool) crm.Pacer { return pacer{h} }
	h.oauth = oauth.New(c)
	t.Cleanup(h.oauth.Close)
	stands.Config.Handler = http.HandlerFunc(h.stand)
	app.Config.Handler = routes(h.oauth)
	stands.Start()
	app.Start()
	t.Cleanup(stands.Close)
	t.Cleanup(app.Close)
	return h
}

func port(t *testing.T, s *httptest.Server) string {
	_, number, err := net.SplitHostPort(s.Listener.Addr().String())
	require.NoError(t, err)
	return number
}

// stand routes by Host, as the demo's listener does.
func (h *house) stand(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.Contains(r.Host, "amocrm."):
		h.amo[crm.AmoCRM].ServeHTTP(w, r)
	case strings.Contains(r.Host, "kommo."):
		h.amo[crm.Kommo].ServeHTTP(w, r)
	default:
		h.bitrix.ServeHTTP(w, r)
	}
}

func routes(s *oauth.Service) http.Handler {
	gin.SetMode(gin.TestMode)
	r := gin.New()
	r.POST("/bitrix24/install", s.Bitrix24Install)
	r.POST("/bitrix24/events", s.Bitrix24Events)
	for _, system := range []crm.System{crm.AmoCRM, crm.Kommo} {
		g := r.Group("/" + string(system))
		g.GET("/install", s.AmoInstall(system))
		g.GET("/connect", s.AmoConnect(system))
		g.GET("/uninstall", s.AmoUninstall(system))
		g.POST("/events/:hook", s.AmoEvents(system))
		g.POST("/pipeline/:hook", s.AmoPipeline(system))
	}
	return r
}

// portal is the portal acme with Dealpay installed through its pages.
func (h *house) portal() (*bitrix24test.Portal, tenants.ID) {
	h.Helper()
	p := h.bitrix.Portal(acme)
	require.NoError(h, p.Install(h.Context(), h.client))
	return p, h.tenant(crm.Bitrix24, p.MemberID())
}

// account is the account acme with Dealpay installed from the marketplace.
func (h *house) account(system crm.System) (*amotest.Account, tenants.ID) {
	h.Helper()
	a := h.amo[system].Account("acme")
	require.NoError(h, a.Install(h.Context(), h.client))
	h.oauth.Close() // on a busy machine the marketplace is answered before the code is exchanged
	id := h.tenant(system, keyOf(a))
	h.keep(id)
	return a, id
}

func (h *house) tenant(system crm.System, key string) tenants.ID {
	h.Helper()
	id, _, err := h.DB.Enter(h.Context(), tenants.Door(system), key)
	require.NoError(h, err)
	return id
}

func (h *house) me(id tenants.ID) (me tenants.Tenant) {
	h.Helper()
	require.NoError(h, h.DB.In(h.Context(), id, func(ctx context.Context, tx *tenants.Tx) (err error) {
		me, err = tx.Me(ctx)
		return err
	}))
	return me
}

// promised lists the keys of the tenant's due promises of a kind, and closes them.
func (h *house) promised(id tenants.ID, kind outbox.Kind) (keys []string) {
	h.Helper()
	require.NoError(h, h.DB.In(h.Context(), id, func(ctx context.Context, tx *tenants.Tx) error {
		claims, err := outbox.Take(ctx, tx, kind, 0, uuid.New(), h.clock.Now().Add(time.Second), time.Minute, 100)
		for _, c := range claims {
			keys = append(keys, c.Key)
		}
		return errors.Join(err, outbox.Done(ctx, tx, h.clock.Now(), claims...))
	}))
	return keys
}

// keep does what the workers do with the tenant's due Setup and Leave promises.
func (h *house) keep(id tenants.ID) {
	h.Helper()
	for range h.promised(id, outbox.Setup) {
		require.NoError(h, h.oauth.Setup(h.Context(), id))
	}
	for range h.promised(id, outbox.Leave) {
		require.NoError(h, h.oauth.Leave(h.Context(), id))
	}
}

// pacer keeps the limits by letting time pass for everybody.
type pacer struct{ h *house }

func (p pacer) Wait(context.Context, ...string) error {
	p.h.advance(150 * time.Millisecond)
	return nil
}
func (p pacer) Seen(context.Context, crm.Pressure) {}

// advance moves everybody's clock.
func (h *house) advance(d time.Duration) {
	for _, clock := range h.clocks {
		clock.Advance(d)
	}
}

// reads requires that the tenant's account can be used.
func (h *house) reads(id tenants.ID, deal string) crm.Deal {
	h.Helper()
	account, _, err := h.oauth.Account(h.Context(), id)
	require.NoError(h, err)
	got, err := account.Deal(h.Context(), deal)
	require.NoError(h, err)
	require.Equal(h, deal, got.ID)
	return got
}

// refreshes counts the refreshes that a stand-in was asked for.
func refreshes(c *standintest.Control) (n int) {
	for _, r := range c.Requests() {
		if strings.Contains(r.Body+r.Query, "refresh_token=") && strings.Contains(r.Path, "token") {
			n++
		}
	}
	return n
}

func keyOf(a *amotest.Account) string { return strconv.FormatInt(a.ID, 10) }
