package bitrix24test

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// note is a record of a deal's timeline: a comment, or a log message of the app.
type note struct {
	id, deal, author  int
	log               bool
	title, text, icon string
	at                time.Time
}

// whole is all of a note's text.
func (n *note) whole() string {
	if n.title == "" {
		return n.text
	}
	return n.title + "\n" + n.text
}

// Comments and log messages (sections "Comments" and "Log Entries" of "Timeline").
var timelineMethods = map[string]method{
	"crm.timeline.comment.add":       {scope: "crm", write: true, run: commentAdd},
	"crm.timeline.comment.get":       {scope: "crm", run: commentGet},
	"crm.timeline.comment.list":      {scope: "crm", run: commentList},
	"crm.timeline.comment.update":    {scope: "crm", write: true, run: commentUpdate},
	"crm.timeline.comment.delete":    {scope: "crm", write: true, run: commentDelete},
	"crm.timeline.logmessage.add":    {scope: "crm", write: true, run: logAdd},
	"crm.timeline.logmessage.get":    {scope: "crm", run: logGet},
	"crm.timeline.logmessage.list":   {scope: "crm", run: logList},
	"crm.timeline.logmessage.delete": {scope: "crm", write: true, run: logDelete},
}

// owner checks that the user may work on a deal that exists.
func (c *call) owner(deal int) *restError {
	if c.p.deals[deal] == nil {
		return bad("OWNER_NOT_FOUND", "Owner not found")
	}
	if !c.user.deals {
		return errDenied
	}
	return nil
}

func (c *call) write(n *note) *note {
	n.id, n.author, n.at = c.p.id(), c.user.id, c.now
	c.p.notes = append(c.p.notes, n)
	return n
}

func commentAdd(c *call) (any, *restError) {
	in, ok := object(c.params["fields"]) // the key must be lower case
	if !ok {
		return nil, missing("fields")
	}
	if in["ENTITY_ID"] == nil || in["ENTITY_TYPE"] == nil {
		return nil, bad("100", "Required fields are not provided")
	}
	if !strings.EqualFold(text(in["ENTITY_TYPE"]), "deal") {
		return nil, bad("OWNER_NOT_FOUND", "Owner not found")
	}
	if refused := c.owner(number(in["ENTITY_ID"])); refused != nil {
		return nil, refused
	}
	if strings.TrimSpace(text(in["COMMENT"])) == "" {
		return nil, bad("INVALID_ARG_VALUE", "Comment message is empty")
	}
	return c.write(&note{deal: number(in["ENTITY_ID"]), text: text(in["COMMENT"])}).id, nil
}

// note finds a record of parameter id.
func (c *call) note(log bool) (int, *restError) {
	id := number(c.params["id"])
	i := slices.IndexFunc(c.p.notes, func(n *note) bool { return n.id == id && n.log == log })
	if i < 0 {
		if log {
			return i, bad("NOT_FOUND", "Timeline logmessage not found for id "+strconv.Itoa(id))
		}
		return i, bad("NOT_FOUND", "Not found.")
	}
	return i, c.owner(c.p.notes[i].deal)
}

func (n *note) comment() params {
	return params{"ID": strconv.Itoa(n.id), "ENTITY_ID": strconv.Itoa(n.deal), "ENTITY_TYPE": "deal", "CREATED": stamp(n.at),
		"COMMENT": n.text, "AUTHOR_ID": strconv.Itoa(n.author), "FILES": phpMap{}}
}

func commentGet(c *call) (any, *restError) {
	i, refused := c.note(false)
	if refused != nil {
		return nil, refused
	}
	return c.p.notes[i].comment(), nil
}

func commentList(c *call) (any, *restError) {
	filter, _ := object(c.params["filter"])
	if filter["ENTITY_ID"] == nil || !strings.EqualFold(text(filter["ENTITY_TYPE"]), "deal") {
		return nil, bad("", "Access denied.")
	}
	if !c.user.deals {
		return nil, errOldDenied
	}
	rows := []params{}
	for _, n := range c.p.notes {
		if !n.log && n.deal == number(filter["ENTITY_ID"]) {
			rows = append(rows, n.comment())
		}
	}
	rows, refused := c.find(rows, false)
	if refused != nil {
		return nil, refused
	}
	return append([]params{}, page(c, rows, 50)...), nil
}

func commentUpdate(c *call) (any, *restError) {
	i, refused := c.note(false)
	if refused != nil {
		return nil, refused
	}
	in, _ := object(c.params["fields"])
	if text(in["COMMENT"]) != "" {
		c.p.notes[i].text = text(in["COMMENT"])
	}
	return true, nil
}

func commentDelete(c *call) (any, *restError) {
	i, refused := c.note(false)
	if refused != nil {
		return nil, refused
	}
	c.p.notes = slices.Delete(c.p.notes, i, i+1)
	return true, nil
}

func logAdd(c *call) (any, *restError) {
	in, ok := object(c.params["fields"])
	if !ok {
		return nil, missing("fields")
	}
	for _, name := range []string{"entityTypeId", "entityId", "title", "text", "iconCode"} {
		if text(in[name]) == "" {
			return nil, missing(name)
		}
	}
	if number(in["entityTypeId"]) != typeDeal {
		return nil, bad("OWNER_NOT_FOUND", "Owner not found")
	}
	if refused := c.owner(number(in["entityId"])); refused != nil {
		return nil, refused
	}
	n := c.write(&note{deal: number(in["entityId"]), log: true, title: text(in["title"]), text: text(in["text"]), icon: text(in["iconCode"])})
	return params{"logMessage": n.message()}, nil
}

func (n *note) message() params {
	return params{"id": n.id, "created": stamp(n.at), "authorId": n.author, "title": n.title, "text": n.text, "iconCode": n.icon}
}

func logGet(c *call) (any, *restError) {
	i, refused := c.note(true)
	if refused != nil {
		return nil, refused
	}
	return params{"logMessage": c.p.notes[i].message()}, nil
}

// logList pages by ten, newest first.
func logList(c *call) (any, *restError) {
	for _, name := range []string{"entityTypeId", "entityId"} {
		if text(c.params[name]) == "" {
			return nil, missing(name)
		}
	}
	rows := []params{}
	for _, n := range c.p.notes {
		if n.log && n.deal == number(c.params["entityId"]) && c.user.deals {
			rows = append(rows, n.message())
		}
	}
	order, _ := object(c.params["order"])
	if !strings.EqualFold(text(order["id"]), "asc") {
		slices.Reverse(rows)
	}
	return page(c, rows, 10), nil
}

func logDelete(c *call) (any, *restError) {
	i, refused := c.note(true)
	if refused != nil {
		return nil, refused
	}
	c.p.notes = slices.Delete(c.p.notes, i, i+1)
	return true, nil
}
