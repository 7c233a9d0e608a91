package widgets_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/stretchr/testify/require"
)

func TestPeopleGetRoles(t *testing.T) {
	o := newOffice(t)
	o.In(func(ctx context.Context, tx *tenants.Tx) error {
		for _, p := range []tenants.Person{{ID: "7", Name: "Nare"}, {ID: "1", Name: "Armen", Chief: true}} {
			p.SeenAt = o.Clock
			if _, err := tx.Meet(ctx, p); err != nil {
				return err
			}
		}
		return nil
	})
	people := got[api.PersonPage](o, http.StatusOK, "GET", "/people", nil).Items
	require.Len(t, people, 2)
	require.Equal(t, []any{"Armen", api.Role("admin"), true, "Nare", api.Role("manager"), false},
		[]any{people[0].Name, people[0].Role, people[0].Administrator, people[1].Name, people[1].Role, people[1].Administrator})
	nare := got[api.Person](o, http.StatusOK, "PUT", "/people/7", map[string]string{"role": "accountant"})
	require.Equal(t, []any{api.Role("accountant"), "key:accountant"}, []any{nare.Role, nare.ChangedBy})
	o.refused(404, "not_found", "PUT", "/people/8", map[string]string{"role": "accountant"})
	o.refused(400, "address_unreadable", "PUT", "/people/%00", map[string]string{"role": "accountant"})
	o.refused(422, "role_unknown", "PUT", "/people/7", map[string]string{"role": "owner"})
	o.refused(400, "body_unreadable", "PUT", "/people/7", `{"role": "admin", "more": 1}`)
}

func TestTheTrailShowsNamesAndIsSearched(t *testing.T) {
	o := newOffice(t)
	o.Sold("7", 150_050)
	o.In(func(ctx context.Context, tx *tenants.Tx) error {
		_, err := tx.Meet(ctx, tenants.Person{ID: "1", Name: "Armen", SeenAt: o.Clock})
		return err
	})
	find := func(query url.Values) []api.AuditEntry {
		return got[api.AuditPage](o, http.StatusOK, "GET", "/audit?"+query.Encode(), nil).Items
	}
	made := find(url.Values{"action": {"invoice.created"}, "deal_id": {"7"}, "from": {"2026-03-10"}, "to": {"2026-03-10"}})
	require.Len(t, made, 1)
	require.Equal(t, "Armen", *made[0].Name)
	require.Empty(t, find(url.Values{"action": {"invoice.created"}, "from": {"2026-03-11"}}))
	require.Empty(t, find(url.Values{"action": {"invoice.created"}, "actor": {"key"}}))
	o.refused(400, "day_unreadable", "GET", "/audit?from=yesterday", nil)
	o.refused(400, "search_unreadable", "GET", "/audit?actor="+strings.Repeat("a", 201), nil)
	o.refused(400, "cursor_unreadable", "GET", "/audit?after=0", nil)
}
