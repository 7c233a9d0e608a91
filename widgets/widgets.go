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
	Setup(ctx context.Context, id tenants.ID) error
	Health(ctx context.Context, id tenants.ID) (oauth.Health, error)
}

// Service answers requests. Fill every field.
type Service struct {
	DB        *tenants.DB
	Payments  *payments.Service
	CRM       Connector
	HeadRoom  func(ctx context.Context, t tenants.Tenant) (share float64, err error) // of the CRM's rate limit
	PublicURL string
	Version   string
	Now       func() time.Time
	Log       *slog.Logger

	reads singleflight.Group // of deals: many callers at once cost the CRM one request
}
