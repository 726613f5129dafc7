// Package top shows on a terminal what a server does right now: its rates, and below them the sessions, accounts or
// instruments that stand out. It asks the console once a second, as the other commands do.
//
//	err := top.Run(ctx, top.Config{Source: top.Ask(client), In: os.Stdin, Out: os.Stdout, Every: time.Second})
//
// On a terminal one loop waits for keys, for the next time to ask, and for answers; a goroutine asks, one question at a
// time, and Run waits for it. What is shown follows from a model that knows neither terminal nor network: keys go in,
// and a frame of lines comes out. Elsewhere than on a terminal one frame is printed.
package top
