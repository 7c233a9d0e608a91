// Package widgets is the HTTP surface that people touch: the deal card, the settings, the pay page, and /api/v1.
// A handler decodes, calls one method below, and answers.
package widgets

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/oauth"
	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/tenants"
	"golang.org/x/sync/singleflight"
)

// Connector knows the connected CRM accounts.
type Connector interface {
	Account(ctx context.Context, id tenants.ID) (crm.Account, tenants.Tenant, error)
	Visit(ctx context.Context, system crm.System, r *http.Request) (crm.Visitor, tenants.Tenant, error)
	Robot(ctx context.Context, r *http.Request) (crm.RobotCall, tenants.Tenant, error)
	Setup(ctx context.Context, id tenants.ID) error
	Health(ctx context.Context, id tenants.ID) (oauth.Health, error)
}

// Service answers requests. Fill every field.
type Service struct {
	DB        *tenants.DB
	Payments  *payments.Service
	CRM       Connector
	HeadRoom  func(ctx context.Context, t tenants.Tenant) (Room, error)
	PublicURL string
	Version   string
	Now       func() time.Time
	Log       *slog.Logger

	reads    singleflight.Group // of deals: many callers at once cost the CRM one request
	glimpses glimpses
}

// Room is how much of a CRM's rate limit an account has left.
type Room struct {
	Free         float64 // share
	PausedUntil  time.Time
	BlockedUntil time.Time // the CRM shut us out
	Busy         []Busy
}

// Busy is a method that used up much of its execution time at the CRM.
type Busy struct {
	Method string
	Used   float64 // share; at 1 it waits
	Until  time.Time
}
