// Package oauth gets Dealpay installed in a CRM account and keeps it installed: the three dialects of installation and
// OAuth, the store of sealed tokens with one refresh at a time, events, and uninstallation. To the floors above it hands
// out a connected [crm.Account] and confirmed visitors.
package oauth

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/crm/amo"
	"github.com/dealpay/dealpay/tenants"
)

// App is our registration with one CRM.
type App struct {
	ClientID     string
	ClientSecret tenants.Secret
	OldSecret    tenants.Secret // still signs while the secret is being changed (amoCRM, Kommo); empty otherwise
	// AuthURL is where authorization happens; empty means the vendor's own. For Bitrix24 a comma list of
	// authorization servers ("https://oauth.bitrix.info"), the first of which is asked when a portal names none; for
	// amoCRM and Kommo the site of the consent page ("https://www.amocrm.ru").
	AuthURL string
}

// Config is what the service works with.
type Config struct {
	DB        *tenants.DB
	HTTP      *http.Client           // reaches allowed hosts only, with a deadline, and follows no redirect
	Allow     func(host string) bool // the allow-list of CRM hosts; nil refuses everybody
	PublicURL string                 // where the CRMs and people reach us, without a trailing slash
	Bitrix24  App
	AmoCRM    App
	Kommo     App
	// Pacer keeps an account within its limits; nil lets everything pass.
	Pacer func(system crm.System, accountKey string, enterprise bool) crm.Pacer
	// StrictTokens refuses a one-time token of amoCRM and Kommo that was seen before.
	StrictTokens bool
	Now          func() time.Time // nil: time.Now
	Log          *slog.Logger     // nil: slog.Default
}

// remembered is how many accounts are kept open: those used last. Whatever else one knows can be learnt again.
const remembered = 2048

// Service connects tenants to their CRM accounts. Its methods are safe for concurrent use.
type Service struct {
	c       Config
	guards  map[crm.System]crm.Guard
	flights singleflight.Group
	work    sync.WaitGroup // exchanges that outlive their request

	mu       sync.Mutex
	opened   *lru.Cache[tenants.ID, opened]
	suspects *lru.Cache[tenants.ID, time.Time] // when a forgery was last noted in the tenant's trail
}

// New makes a service. Close ends it.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	c.PublicURL = strings.TrimSuffix(c.PublicURL, "/")
	s := &Service{c: c}
	s.opened, _ = lru.New[tenants.ID, opened](remembered) // an error only for a size below 1
	s.suspects, _ = lru.New[tenants.ID, time.Time](remembered)
	s.guards = s.makeGuards()
	return s
}

// Close waits for code exchanges that are under way.
func (s *Service) Close() { s.work.Wait() }

func (s *Service) app(system crm.System) App {
	return map[crm.System]App{crm.Bitrix24: s.c.Bitrix24, crm.AmoCRM: s.c.AmoCRM, crm.Kommo: s.c.Kommo}[system]
}

func variant(system crm.System) amo.Variant {
	if system == crm.Kommo {
		return amo.Kommo
	}
	return amo.AmoCRM
}

// ours is a URL of ours.
func (s *Service) ours(system crm.System, path string) string {
	return s.c.PublicURL + "/" + string(system) + "/" + path
}

func (s *Service) allowed(host string) bool { return s.c.Allow != nil && s.c.Allow(host) }

// allowedAmo says whether host is an account of this very product on the allow-list: each product has a secret of its
// own, which the other's hosts must not see.
func (s *Service) allowedAmo(system crm.System, host string) bool {
	name, _, _ := strings.Cut(host, ":")
	return variant(system).Owns(strings.TrimSuffix(name, ".localhost")) && s.allowed(host)
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

func (s *Service) in(ctx context.Context, id tenants.ID, fn func(ctx context.Context, tx *tenants.Tx) error) error {
	return s.c.DB.In(ctx, id, fn)
}
