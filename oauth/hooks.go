package oauth

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/crm/amo"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
)

// AmoUninstall hears that amoCRM or Kommo disabled the integration (amocrm.ru and Kommo "OAuth 2.0", access revoked
// notification). The signature is checked, but it never ages, so that the hook only makes us ask: now, and again in a
// minute, because the revocation may trail it.
func (s *Service) AmoUninstall(system crm.System) gin.HandlerFunc {
	return func(c *gin.Context) {
		ctx := c.Request.Context()
		key, err := amo.VerifyDisable(c.Request.URL.Query(), s.app(system).ClientID, s.app(system).secrets()...)
		if err != nil {
			s.forgedDisable(ctx, system, c.Query("account_id"))
			problem(c, http.StatusForbidden, "forged", "The signature does not match.")
			return
		}
		id, _, err := s.c.DB.Enter(ctx, tenants.Door(system), key)
		if errors.Is(err, tenants.ErrNoDoor) {
			accepted(c) // an installation that was never completed
			return
		}
		if err == nil {
			err = s.in(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
				now := s.c.Now()
				return errors.Join(tx.Audit(ctx, tenants.Entry{Actor: tenants.CRM, Action: "tenant.uninstall_reported"}, nil),
					outbox.Make(ctx, tx, outbox.Leave, "account", now), outbox.Make(ctx, tx, outbox.Leave, "once more", now.Add(time.Minute)))
			})
		}
		if err != nil {
			s.fail(c, "keep a disable hook", err)
			return
		}
		accepted(c)
	}
}

func (s *Service) forgedDisable(ctx context.Context, system crm.System, key string) {
	if id, _, err := s.c.DB.Enter(ctx, tenants.Door(system), key); err == nil {
		s.suspect(ctx, id, string(system)+" disable hook")
	}
}

// AmoEvents hears an account's webhooks (amocrm.ru "Webhooks"; Kommo "Webhooks"). Nothing signs them: the key in the
// address tells whose they are, and they only cause reads.
func (s *Service) AmoEvents(system crm.System) gin.HandlerFunc {
	return s.hook(system, func(r *http.Request) ([]heard, error) {
		events, err := amo.ParseEvents(r)
		return each(events, err, func(e crm.Event) heard { return heard{e.AccountKey, e.DealID} })
	})
}

// AmoPipeline hears that a deal reached a stage where our widget, or a webhook to us, was put (Kommo "Digital Pipeline").
func (s *Service) AmoPipeline(system crm.System) gin.HandlerFunc {
	return s.hook(system, func(r *http.Request) ([]heard, error) {
		entered, err := amo.ParsePipeline(r)
		return each(entered, err, func(e amo.Entered) heard { return heard{e.AccountKey, e.DealID} })
	})
}

func each[T any](from []T, err error, to func(T) heard) ([]heard, error) {
	deals := make([]heard, 0, len(from))
	for _, one := range from {
		deals = append(deals, to(one))
	}
	return deals, err
}

// heard is a deal that a hook names, and the account it claims to be of, which may be empty.
type heard struct{ account, deal string }

// hook promises a review of each deal that a hook to /…/{hook} names.
func (s *Service) hook(system crm.System, parse func(*http.Request) ([]heard, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		ctx := c.Request.Context()
		var connected connection
		id, _, err := s.c.DB.Enter(ctx, tenants.CRMHookDoor, c.Param("hook"))
		if err == nil {
			connected, err = s.connection(ctx, id)
		}
		if errors.Is(err, tenants.ErrNoDoor) || err == nil && connected.system() != system {
			problem(c, http.StatusNotFound, "unknown_hook", "There is no such hook.")
			return
		}
		if err != nil {
			s.fail(c, "hear a webhook", err)
			return
		}
		deals, err := parse(c.Request)
		if err != nil {
			problem(c, http.StatusBadRequest, "bad_event", "This is no event that we know.")
			return
		}
		for _, d := range deals {
			if d.account != "" && d.account != connected.tenant.AccountKey {
				s.suspect(ctx, id, string(system)+" webhook")
				problem(c, http.StatusForbidden, "forged", "This event is of another account.")
				return
			}
		}
		if err := s.review(ctx, id, connected, deals); err != nil {
			s.fail(c, "keep a webhook", err)
			return
		}
		accepted(c)
	}
}

// review promises to look at the deals. What came for a tenant that is not active is forgotten: reconnecting reads anew.
func (s *Service) review(ctx context.Context, id tenants.ID, c connection, deals []heard) error {
	if c.tenant.Status != tenants.Active || len(deals) == 0 {
		return nil
	}
	return s.in(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		for _, d := range deals {
			if err := outbox.Make(ctx, tx, outbox.Review, d.deal, s.c.Now()); err != nil {
				return err
			}
		}
		return nil
	})
}

func encode(sealed []byte) string { return base64.RawURLEncoding.EncodeToString(sealed) }

// decode undoes encode; what is no base64 becomes nothing, which opens nothing.
func decode(text string) []byte {
	sealed, _ := base64.RawURLEncoding.DecodeString(text)
	return sealed
}
