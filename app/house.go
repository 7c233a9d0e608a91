package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/oauth"
	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/ameria"
	"github.com/dealpay/dealpay/payments/arca"
	"github.com/dealpay/dealpay/payments/fastshift"
	"github.com/dealpay/dealpay/payments/idram"
	"github.com/dealpay/dealpay/payments/mail"
	"github.com/dealpay/dealpay/payments/stripe"
	"github.com/dealpay/dealpay/payments/telcell"
	"github.com/dealpay/dealpay/payments/vposam"
	"github.com/dealpay/dealpay/tasks"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/egress"
	"github.com/dealpay/dealpay/widgets"
	"github.com/redis/go-redis/v9"
)

// version is set by the build.
var version = "dev"

// house is everything wired together.
type house struct {
	config   config
	log      *slog.Logger
	now      func() time.Time
	db       *tenants.DB
	redis    *redis.Client
	queue    *tasks.Queue
	limiter  *tasks.Limiter
	crmHosts egress.List
	payments *payments.Service
	oauth    *oauth.Service
	widgets  *widgets.Service
	worker   *tasks.Worker
}

func newLog(level string) *slog.Logger {
	var l slog.Level
	_ = l.UnmarshalText([]byte(level)) // checked with the configuration
	return slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: l}))
}

// limits of outgoing calls.
const (
	callTime = 20 * time.Second
	maxBody  = 8 << 20
	// personPatience is how long a caller of the API waits for room at the CRM; the card sets itself a shorter time.
	personPatience = 12 * time.Second
)

// build wires the house, floor by floor. Close it when done.
func build(ctx context.Context, c config) (*house, error) { return buildAt(ctx, c, time.Now) }

// buildAt is build with a clock: everything in the house tells the time by now.
func buildAt(ctx context.Context, c config, now func() time.Time) (*house, error) {
	h := &house{config: c, log: newLog(c.LogLevel), now: now}
	sealer, err := tenants.NewSealer(string(c.Keyset))
	if err != nil {
		return nil, err
	}
	if h.crmHosts, err = egress.Parse(c.CRMHosts); err != nil {
		return nil, fmt.Errorf("CRM_HOST_SUFFIXES: %w", err)
	}
	options, err := redis.ParseURL(c.RedisURL)
	if err != nil {
		return nil, fmt.Errorf("REDIS_URL: %w", err)
	}
	options.ContextTimeoutEnabled = true
	h.redis = redis.NewClient(options)
	if h.queue, err = tasks.NewQueue(c.RedisURL, h.now, h.log); err != nil {
		return nil, err
	}
	if h.db, err = tenants.Open(ctx, c.DatabaseURL, c.DBConns, sealer); err != nil {
		return nil, err
	}
	h.db.Wake, h.queue.System = h.queue.Wake, h.db.SystemOf
	h.limiter = tasks.NewLimiter(h.redis, tasks.LimiterOptions{Egress: c.Egress, PersonPatience: personPatience})
	if err := h.limiter.Warm(ctx); err != nil {
		h.log.WarnContext(ctx, "the limiter cannot reach Redis yet", "err", err)
	}
	if err := h.payers(); err != nil {
		return nil, err
	}
	h.oauth = oauth.New(oauth.Config{DB: h.db, HTTP: egress.Client(h.crmHosts, callTime, maxBody), Allow: h.crmHosts.Allows, PublicURL: c.PublicURL,
		Bitrix24: oauth.App(c.Bitrix24), AmoCRM: oauth.App(c.AmoCRM), Kommo: oauth.App(c.Kommo), StrictTokens: c.StrictTokens, Now: h.now, Log: h.log,
		Pacer: func(system crm.System, key string, enterprise bool) crm.Pacer {
			return h.limiter.For(tasks.Account{System: system, Key: key, Enterprise: enterprise})
		}})
	h.widgets = &widgets.Service{DB: h.db, Payments: h.payments, CRM: h.oauth, HeadRoom: h.headRoom, PublicURL: c.PublicURL,
		Version: version, Now: h.now, Log: h.log}
	h.worker = &tasks.Worker{DB: h.db, Payments: h.payments, Accounts: h.oauth, Robots: h.widgets.AnswerRobots, Remind: h.queue.Send, Now: h.now, Log: h.log}
	return h, nil
}

// payers wires the acquirers: adding one is one line here. They may be called at their own hosts and nowhere else.
func (h *house) payers() error {
	at := h.config.Acquirers
	providers := map[string]payments.Provider{
		vposam.Key:    vposam.New(vposam.Config{BaseURL: h.config.VposAmURL, PageHosts: pageHosts(h.config.VposAmURL), Now: h.now}),
		ameria.Key:    ameria.New(ameria.Config{TestURL: at.AmeriaTest, LiveURL: at.AmeriaLive, Offset: at.AmeriaFirst, Wrap: at.AmeriaWrap, Now: h.now}),
		arca.Key:      arca.New(arca.Config{Gateways: given(at.Arca), Now: h.now}),
		idram.Key:     idram.New(idram.Config{PayURL: at.Idram}),
		telcell.Key:   telcell.New(telcell.Config{TestURL: at.TelcellTest, LiveURL: at.TelcellLive, PageURL: at.TelcellPage, Now: h.now}),
		stripe.Key:    stripe.New(stripe.Config{BaseURL: at.Stripe, PageHosts: siblings(at.Stripe), Now: h.now}),
		fastshift.Key: fastshift.New(fastshift.Config{BaseURL: at.FastShift, Now: h.now}),
	}
	var suffixes, withPort []string
	for _, p := range providers {
		for _, host := range p.Describe().Hosts {
			name, _, _ := strings.Cut(host, ":")
			suffixes, withPort = append(suffixes, name), append(withPort, host)
		}
	}
	hosts, err := egress.Parse(suffixes)
	if err != nil {
		return fmt.Errorf("hosts of the acquirers: %w", err)
	}
	home, err := url.Parse(h.config.PublicURL)
	if err != nil {
		return fmt.Errorf("PUBLIC_URL: %w", err)
	}
	own := loopback(home) // a developer's machine: mail servers may be there too
	h.payments = &payments.Service{DB: h.db, Providers: providers, HTTP: egress.Client(hosts.And(withPort...), callTime, maxBody),
		PublicURL: h.config.PublicURL, Post: mail.Post{Dial: egress.Dial(own)}, PostLocal: own, Now: h.now, Log: h.log}
	return nil
}

// given is a map that names something, or nil.
func given(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	return m
}

// pageHosts are where a checkout may lie: beside the API's host.
func pageHosts(base string) []string {
	if u, err := url.Parse(base); err == nil && loopback(u) {
		return []string{u.Hostname()}
	}
	return nil
}

// siblings are the hosts beside a stand-in's, port included: the page of api.stripe.com is on checkout.stripe.com.
func siblings(base string) []string {
	u, err := url.Parse(base)
	if err != nil || !loopback(u) {
		return nil
	}
	_, parent, _ := strings.Cut(u.Host, ".")
	return []string{parent}
}

// headRoom is what a CRM account's limits leave free now.
func (h *house) headRoom(ctx context.Context, t tenants.Tenant) (widgets.Room, error) {
	account := tasks.Account{System: crm.System(t.CRM), Key: t.AccountKey, Enterprise: t.Enterprise}
	seen, err := h.limiter.Snapshot(ctx, account)
	limits := tasks.LimitsOf(account)
	room := widgets.Room{Free: math.Min(1, float64(seen.Left)/math.Max(limits.Capacity-limits.Slack, float64(limits.Count))),
		PausedUntil: seen.PausedUntil, BlockedUntil: seen.BlockedUntil}
	for _, b := range seen.Operating {
		room.Busy = append(room.Busy, widgets.Busy{Method: b.Method, Used: b.Used.Seconds() / b.Limit.Seconds(), Until: b.ResetAt})
	}
	return room, err
}

// unlocks refuses a keyset that is not the one of this database: everything sealed would be lost work. A database that is away
// says nothing of it, and is waited for.
func (h *house) unlocks(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err := h.oauth.Unlocks(ctx)
	if errors.Is(err, tenants.ErrSealed) {
		return errors.New("SECRET_KEYSET cannot open what is in the database: expected the keyset that sealed it, older keys included")
	}
	if err != nil {
		h.log.WarnContext(ctx, "whether SECRET_KEYSET is that of the database is not known yet", "err", err)
	}
	return nil
}

// nearPlaces is how many checks, and how many lanes, a web process works on at once itself, so that a customer who has just paid does not
// wait for a worker to look into its queue. Under load the workers have them.
const nearPlaces = 4

// serve answers HTTP until ctx ends.
func (h *house) serve(ctx context.Context) error {
	server := &http.Server{Addr: h.config.ListenAddr, Handler: h.handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 20 * time.Second,
		WriteTimeout: 60 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10}
	leave := h.queue.Stay(ctx, h.worker, nearPlaces)
	defer leave()
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	h.log.InfoContext(ctx, "serving", "addr", h.config.ListenAddr, "public", h.config.PublicURL, "version", version)
	select {
	case err := <-failed:
		return fmt.Errorf("LISTEN_ADDR %s: %w", h.config.ListenAddr, err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return server.Shutdown(grace)
}

// work keeps promises until ctx ends.
func (h *house) work(ctx context.Context) error {
	h.log.InfoContext(ctx, "working", "concurrency", h.config.Concurrency, "version", version)
	return h.queue.Serve(ctx, h.worker, h.config.Concurrency)
}

func (h *house) close() {
	h.oauth.Close()
	_ = h.queue.Close()
	_ = h.redis.Close()
	h.db.Close()
}
