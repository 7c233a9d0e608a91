package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/crm/bitrix24"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
)

// setupPatience is how long an installation page waits for Setup; the promise goes on without it.
const setupPatience = 10 * time.Second

// Bitrix24Install is the installer page in the portal's frame (vendor documentation "Application installation"). It
// believes only what the authorization server says of the posted token, connects the account, prepares it, and ends the
// installation through the frame.
func (s *Service) Bitrix24Install(c *gin.Context) {
	ctx := crm.WithPriority(c.Request.Context(), crm.Person)
	v, err := s.guards[crm.Bitrix24].Visit(ctx, c.Request)
	switch {
	case errors.Is(err, crm.ErrForged):
		s.c.Log.WarnContext(ctx, "installation refused", "crm", crm.Bitrix24, "cause", err)
		show(c, http.StatusForbidden, s.claimed(c), newPage("", "forged"))
		return
	case err != nil:
		s.c.Log.ErrorContext(ctx, "confirm an installation", "crm", crm.Bitrix24, "cause", err)
		show(c, http.StatusServiceUnavailable, s.claimed(c), newPage("", "away"))
		return
	case !v.Admin || v.Grant.RefreshToken == "":
		show(c, http.StatusForbidden, origin(v.Domain), newPage(v.Lang, "admin"))
		return
	}
	id, err := s.connect(ctx, newcomer{system: crm.Bitrix24, key: v.AccountKey, domain: v.Domain, grant: *v.Grant, lang: v.Lang, by: person(v.UserID)})
	if err != nil {
		s.c.Log.ErrorContext(ctx, "connect", "crm", crm.Bitrix24, "cause", err)
		show(c, http.StatusServiceUnavailable, origin(v.Domain), newPage(v.Lang, "away"))
		return
	}
	s.prepare(ctx, c, id, v)
}

// claimed is the origin of the portal that an unconfirmed opening claims to come from, when it is on the allow-list: a
// page that only explains something may be shown there.
func (s *Service) claimed(c *gin.Context) string {
	domain := strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(c.Query("DOMAIN")), ":443"), ":80")
	if !s.allowed(domain) {
		return ""
	}
	return origin(domain)
}

// prepare runs Setup at once and shows how far the installation got. Only a complete one is ended: until then the
// portal shows the installer to administrators again.
func (s *Service) prepare(ctx context.Context, c *gin.Context, id tenants.ID, v crm.Visitor) {
	ctx, cancel := context.WithTimeout(ctx, setupPatience)
	defer cancel()
	steps := []step{{say(v.Lang, "connected"), true}, {say(v.Lang, "fields"), true}}
	if err := s.Setup(ctx, id); err != nil {
		s.c.Log.WarnContext(ctx, "setup goes on in the background", "tenant", id, "cause", err)
		p := newPage(v.Lang, "later")
		steps[1].Done = false
		p.Steps = steps
		show(c, http.StatusServiceUnavailable, origin(v.Domain), p)
		return
	}
	p := newPage(v.Lang, "done")
	p.Steps, p.Finish = steps, origin(v.Domain)
	show(c, http.StatusOK, origin(v.Domain), p)
}

// Bitrix24Events hears what happened in a portal (vendor documentation "Events", "Security in handlers"). An event is
// believed to come from the portal when it knows the installation's application token, and even then it only causes a
// look: the token passes through every user's browser.
func (s *Service) Bitrix24Events(c *gin.Context) {
	ctx := c.Request.Context()
	event, err := bitrix24.ParseEvent(c.Request)
	if err != nil {
		problem(c, http.StatusBadRequest, "bad_event", "This is no event that we know.")
		return
	}
	connected, err := s.confirmed(ctx, "bitrix24 event", event.AccountKey, event.AppToken)
	if errors.Is(err, crm.ErrForged) {
		problem(c, http.StatusForbidden, "forged", "This event is not confirmed.")
		return
	}
	if err != nil {
		s.fail(c, "hear a Bitrix24 event", err)
		return
	}
	id := connected.tenant.ID
	if err := s.in(ctx, id, func(ctx context.Context, tx *tenants.Tx) error { return s.promise(ctx, tx, connected, event) }); err != nil {
		s.fail(c, "keep a Bitrix24 event", err)
		return
	}
	accepted(c)
}

// promise promises the look that an event asks for.
func (s *Service) promise(ctx context.Context, tx *tenants.Tx, c connection, e crm.Event) error {
	now := s.c.Now()
	switch e.Kind {
	case crm.DealChanged, crm.DealDeleted:
		if c.tenant.Status != tenants.Active {
			return nil
		}
		return outbox.Make(ctx, tx, outbox.Review, e.DealID, now)
	case crm.AppChanged:
		return outbox.Make(ctx, tx, outbox.Setup, "account", now)
	case crm.Uninstalled:
		if err := tx.Audit(ctx, tenants.Entry{Actor: tenants.CRM, Action: "tenant.uninstall_reported"}, map[string]bool{"clean": e.Clean}); err != nil {
			return err
		}
		return outbox.Make(ctx, tx, outbox.Leave, "account", now)
	}
	return nil
}

// confirmed finds the portal that something claims to come from, by the application token of its installation. Error:
// crm.ErrForged.
func (s *Service) confirmed(ctx context.Context, what, member, appToken string) (connection, error) {
	id, _, err := s.c.DB.Enter(ctx, tenants.Door(crm.Bitrix24), member)
	if errors.Is(err, tenants.ErrNoDoor) {
		return connection{}, crm.ErrForged
	}
	var c connection
	if err == nil {
		c, err = s.connection(ctx, id)
	}
	if err == nil && !same(c.grant.AppToken, appToken) {
		s.suspect(ctx, id, what)
		err = crm.ErrForged
	}
	return c, err
}

// ErrNoRobot is returned for a request that is no call of a rule of ours.
var ErrNoRobot = errors.New("oauth: no rule of ours calls here")

// Robot confirms the call of an automation rule and finds the tenant. The application token passes through every user's
// browser, so that a call proves only that somebody of this portal made it: the portal must confirm its token
// (crm.RobotAnswerer) before anything is done. Errors: ErrNoRobot, crm.ErrForged.
func (s *Service) Robot(ctx context.Context, r *http.Request) (crm.RobotCall, tenants.Tenant, error) {
	call, err := bitrix24.ParseRobot(r)
	if err != nil {
		return crm.RobotCall{}, tenants.Tenant{}, fmt.Errorf("%w: %w", ErrNoRobot, err)
	}
	c, err := s.confirmed(ctx, "bitrix24 automation rule", call.AccountKey, call.AppToken)
	return call, c.tenant, err
}
