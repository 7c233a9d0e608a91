package oauth

import (
	"fmt"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/tenants"
)

// What is remembered of accounts is bounded by a number, not by how many there are.
func TestMemoryDoesNotGrowWithTheAccounts(t *testing.T) {
	now := time.Now()
	s := New(Config{HTTP: http.DefaultClient, Now: func() time.Time { return now }})
	someone := func() tenants.ID {
		id, err := tenants.Restore(tenants.NewUUID().String())
		require.NoError(t, err)
		return id
	}
	known := someone()
	account := func(id tenants.ID, n int) crm.Account {
		c := connection{tenant: tenants.Tenant{ID: id, CRM: "bitrix24", AccountKey: fmt.Sprint(n), Domain: fmt.Sprintf("a%d.bitrix24.com", n)},
			grant: crm.Grant{AccessToken: fmt.Sprintf("%064d", n), Endpoint: fmt.Sprintf("https://a%d.bitrix24.com/rest/", n), ExpiresAt: now.Add(time.Hour)}}
		if n%3 != 0 {
			c.tenant.CRM = "amocrm"
		}
		return s.open(c)
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	first := account(known, 0)
	n := 1
	open := func(many int) {
		for range many {
			account(someone(), n)
			if n++; n%500 == 0 {
				require.Same(t, first, account(known, 0), "an account in use stays what it is")
			}
		}
	}
	open(10_000)
	require.Equal(t, remembered, s.opened.Len())
	before := heap()
	open(20_000)
	require.Less(t, heap(), before+before/4, "twice as many more cost nothing more")
}
