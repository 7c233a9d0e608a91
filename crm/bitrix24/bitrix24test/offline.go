package bitrix24test

import (
	"cmp"
	"slices"
	"strconv"
)

func (r offlineRow) row(full bool) params {
	out := params{"ID": strconv.Itoa(r.id), "TIMESTAMP_X": stamp(r.at), "EVENT_NAME": r.event, "EVENT_DATA": r.data,
		"EVENT_ADDITIONAL": false, "MESSAGE_ID": strconv.Itoa(r.id)}
	if full {
		out["PROCESS_ID"] = r.process
		out["ERROR"] = map[bool]string{true: "1", false: "0"}[r.failed]
	}
	return out
}

// offlineList only reads the queue (page "Get List of Offline Events").
func offlineList(c *call) (any, *restError) {
	rows := []params{}
	for _, r := range c.p.queued {
		rows = append(rows, r.row(true))
	}
	rows, refused := c.find(rows, false)
	if refused != nil {
		return nil, refused
	}
	return append([]params{}, page(c, rows, 50)...), nil
}

// offlineGet takes rows: at once with clear=1, reserved for a process with clear=0.
func offlineGet(c *call) (any, *restError) {
	limit, clear := cmp.Or(number(c.params["limit"]), 50), c.params["clear"] == nil || yes(c.params["clear"])
	process, taken, kept := "", []params{}, c.p.queued[:0:0]
	if !clear {
		process = cmp.Or(text(c.params["process_id"]), c.p.secret()[:32])
	}
	for _, r := range c.p.queued {
		if r.process != "" || len(taken) == limit {
			kept = append(kept, r)
			continue
		}
		taken = append(taken, r.row(false))
		if !clear {
			r.process = process
			kept = append(kept, r)
		}
	}
	c.p.queued = kept
	return params{"process_id": nullable(process), "events": taken}, nil
}

// reserved reports whether a row belongs to the call's process and ids.
func (c *call) reserved(r offlineRow) bool {
	ids := append(list(c.params["id"]), list(c.params["message_id"])...)
	return r.process == text(c.params["process_id"]) && r.process != "" &&
		(len(ids) == 0 || slices.ContainsFunc(ids, func(id any) bool { return number(id) == r.id }))
}

func offlineClear(c *call) (any, *restError) {
	c.p.queued = slices.DeleteFunc(c.p.queued, c.reserved)
	return true, nil
}

func offlineError(c *call) (any, *restError) {
	for i, r := range c.p.queued {
		if c.reserved(r) {
			c.p.queued[i].failed = true
		}
	}
	return true, nil
}
