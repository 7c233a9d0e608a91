package main

import ("testing";"time";"runtime/pprof";"os")

func TestX(t *testing.T) {
	b := time.Now()
	s := newScene(t)
	t.Log(time.Since(b), s.accounts)
	b = time.Now()
	go func(){ time.Sleep(800*time.Millisecond); pprof.Lookup("goroutine").WriteTo(os.Stdout, 2) }()
	s.stopWork()
	t.Log("stop", time.Since(b))
}
