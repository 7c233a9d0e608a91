package widgets

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/gin-gonic/gin"
)

// Audit answers GET /audit: the whole trail or what fits a search, newest first, with the names of the CRM's users.
func (s *Service) Audit(c *gin.Context) {
	search, err := searchOf(c)
	page := api.AuditPage{Items: []api.AuditEntry{}}
	if err == nil {
		err = s.DB.In(c.Request.Context(), who(c).tenant, func(ctx context.Context, tx *tenants.Tx) error {
			return searched(ctx, tx, c, search, &page)
		})
	}
	s.answer(c, http.StatusOK, page, err)
}

func searched(ctx context.Context, tx *tenants.Tx, c *gin.Context, search tenants.Search, page *api.AuditPage) error {
	me, err := tx.Me(ctx)
	if err != nil {
		return err
	}
	if search.Since, search.Until, err = daysOf(c, me.Settings.Zone()); err != nil {
		return err
	}
	entries, err := tx.Find(ctx, search, pageSize+1)
	entries, page.Next = cut(entries, func(e tenants.Entry) string { return strconv.FormatInt(e.ID, 10) })
	if err == nil {
		page.Items, err = entryViews(ctx, tx, entries)
	}
	return err
}

// entryViews are entries of the trail with the names of the people in them.
func entryViews(ctx context.Context, tx *tenants.Tx, entries []tenants.Entry) ([]api.AuditEntry, error) {
	people, err := tx.People(ctx)
	names := map[tenants.Actor]string{}
	for _, p := range people {
		names[tenants.Actor("user:"+p.ID)] = p.Name
	}
	views := []api.AuditEntry{}
	for _, e := range entries {
		v := entryView(e)
		v.Name = given(names[e.Actor])
		views = append(views, v)
	}
	return views, err
}

func searchOf(c *gin.Context) (tenants.Search, error) {
	search := tenants.Search{Actor: c.Query("actor"), Action: c.Query("action"), Deal: c.Query("deal_id")}
	for _, text := range []string{search.Actor, search.Action, search.Deal} {
		if len(text) > 200 {
			return search, &bad{"search_unreadable", "A search has at most 200 characters of text."}
		}
	}
	var err error
	search.Before, err = newest(c)
	return search, err
}

// newest reads after, the cursor of a list that begins with the newest; 0 where none is given.
func newest(c *gin.Context) (before int64, err error) {
	if text := c.Query("after"); text != "" {
		if before, err = strconv.ParseInt(text, 10, 64); err != nil || before < 1 {
			err = &bad{"cursor_unreadable", "after is not a cursor of this list."}
		}
	}
	return before, err
}

// daysOf are the moments at which the days of a search begin and end in a time zone; zero where none is given.
func daysOf(c *gin.Context, zone *time.Location) (since, until time.Time, err error) {
	begins := func(name string, later int) (time.Time, error) {
		if c.Query(name) == "" {
			return time.Time{}, nil
		}
		day, err := dayOf(c, name)
		return time.Date(day.Year(), day.Month(), day.Day()+later, 0, 0, 0, 0, zone), err
	}
	if since, err = begins("from", 0); err == nil {
		until, err = begins("to", 1)
	}
	return since, until, err
}
