package widgets

import (
	"context"
	"net/http"
	"time"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/gin-gonic/gin"
)

// health tells how the tenant's connection is and what waits for it, without asking the CRM.
func (s *Service) health(ctx context.Context, w caller) (api.Health, error) {
	h := api.Health{Failures: []api.Failure{}, LastCalls: []api.LastCall{}, BusyMethods: []api.BusyMethod{}}
	var tenant tenants.Tenant
	err := s.DB.In(ctx, w.tenant, func(ctx context.Context, tx *tenants.Tx) error {
		var err error
		if tenant, err = tx.Me(ctx); err != nil {
			return err
		}
		h.Status, h.StatusWhy, h.Setup = api.HealthStatus(tenant.Status), tenant.StatusWhy, len(tenant.Layout) > 0
		return laneView(ctx, tx, &h)
	})
	if err != nil {
		return h, err
	}
	access, err := s.CRM.Health(ctx, w.tenant)
	if err != nil {
		return h, err
	}
	h.TokenAt, h.TokenExpiresAt = utc(&access.RenewedAt), utc(&access.ExpiresAt)
	if room, err := s.HeadRoom(ctx, tenant); err == nil {
		roomView(room, &h)
	}
	return h, nil
}

// laneView fills in what waits, what was given up, and what the lane did last.
func laneView(ctx context.Context, tx *tenants.Tx, h *api.Health) error {
	backlog, err := outbox.BacklogOf(ctx, tx)
	if err != nil {
		return err
	}
	h.Waiting, h.OldestWaitingAt, h.Failed = backlog.Waiting, utc(backlog.Oldest), backlog.Dead
	dead, err := outbox.Buried(ctx, tx, pageSize)
	if err != nil {
		return err
	}
	for _, d := range dead {
		h.Failures = append(h.Failures, api.Failure{Id: d.ID, Kind: string(d.Kind), Key: d.Key, Since: d.DeadAt.UTC(), Reason: d.Reason})
	}
	lane, err := outbox.LaneOf(ctx, tx)
	h.PausedUntil, h.PausedWhy, h.LastCallAt = utc(lane.PausedUntil), lane.PausedWhy, utc(lane.LastCallAt)
	for _, c := range lane.Calls {
		h.LastCalls = append(h.LastCalls, api.LastCall{At: c.At.UTC(), What: api.LastCallWhat(c.What), Deals: c.Deals, Outcome: c.Outcome, TookMs: int(c.Millis)})
	}
	return err
}

func roomView(room Room, h *api.Health) {
	free := float32(room.Free)
	h.HeadRoom = &free
	if !room.BlockedUntil.IsZero() {
		h.BlockedUntil = utc(&room.BlockedUntil)
	}
	for _, b := range room.Busy {
		h.BusyMethods = append(h.BusyMethods, api.BusyMethod{Method: b.Method, Used: float32(b.Used), Until: b.Until.UTC()})
	}
}

// Repair answers POST /repair: makes in the CRM what is missing there.
func (s *Service) Repair(c *gin.Context) {
	w := who(c)
	ctx, cancel := context.WithTimeout(crm.WithPriority(c.Request.Context(), crm.Person), 25*time.Second)
	defer cancel()
	err := s.CRM.Setup(ctx, w.tenant)
	var h api.Health
	if err == nil {
		h, err = s.health(ctx, w)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, h)
}

// Replay answers POST /replay: failed work is promised again.
func (s *Service) Replay(c *gin.Context) {
	w := who(c)
	var in api.ReplayRequest
	_, err := decode(c, &in)
	var ids []int64
	switch {
	case err != nil:
	case in.Ids != nil && len(*in.Ids) > 0:
		ids = *in.Ids
	case in.All == nil || !*in.All:
		err = &bad{"nothing_chosen", "Give ids, or all."}
	}
	var n int
	if err == nil {
		err = s.DB.In(c.Request.Context(), w.tenant, func(ctx context.Context, tx *tenants.Tx) error {
			if n, err = outbox.Replay(ctx, tx, ids, s.Now()); err != nil {
				return err
			}
			return tx.Audit(ctx, tenants.Entry{At: s.Now(), Actor: w.by.Actor, Action: "work.replayed"}, map[string]int{"promises": n})
		})
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, api.ReplayResult{Replayed: n})
}
