// Year prints the year that the wall clock shows to a Go program.
package main

import "time"

func main() { println(time.Now().UTC().Year()) }
