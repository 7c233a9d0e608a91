package payments

import (
	"context"
	"errors"
	"fmt"

	"github.com/dealpay/dealpay/tenants"
)

// heed keeps what the end of a call says of the credentials it was made with. An acquirer that refuses them is shown in the
// settings and is one exception of the tenant, however many attempts wait for it, until it takes them, or others, again. That
// it cannot be reached says nothing. What the call was for goes on, also when this cannot be kept.
func (s *Service) heed(ctx context.Context, id tenants.ID, c Connection, end error) {
	refused := errors.Is(end, ErrCredentials)
	if refused == c.refused || (end != nil && !refused) {
		return
	}
	err := s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		if refused {
			return s.mistrust(ctx, tx, c)
		}
		return s.trust(ctx, tx, c.Acquirer, tenants.Acquirer)
	})
	if err != nil {
		s.Log.WarnContext(ctx, "state of credentials not kept", "tenant", id, "connection", c.ID, "refused", refused, "err", err)
	}
}

// mistrust notes that a live connection's credentials are refused, unless others took their place since the call began: what is
// refused of a connection that was given up is nobody's to repair.
func (s *Service) mistrust(ctx context.Context, tx *tenants.Tx, c Connection) error {
	tag, err := tx.Exec(ctx, `UPDATE connections SET refused_at = $2 WHERE id = $1 AND refused_at IS NULL AND retired_at IS NULL AND credentials = $3`,
		c.ID, s.Now(), c.sealed)
	if err != nil || tag.RowsAffected() == 0 {
		return err
	}
	return Raise(ctx, tx, Exception{Kind: AccessRefused, Key: refusedKey(c.Acquirer), OpenedAt: s.Now()}, "")
}

// trust notes that nothing needs repair at an acquirer any more: it took our credentials, or was given up.
func (s *Service) trust(ctx context.Context, tx *tenants.Tx, acquirer string, by tenants.Actor) error {
	if _, err := tx.Exec(ctx, `UPDATE connections SET refused_at = NULL WHERE acquirer = $1 AND refused_at IS NOT NULL`, acquirer); err != nil {
		return fmt.Errorf("trust credentials: %w", err)
	}
	return Settle(ctx, tx, refusedKey(acquirer), by, "", s.Now())
}

func refusedKey(acquirer string) string { return AccessRefused + ":" + acquirer }
