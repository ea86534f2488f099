from gemstead.cli import main

main()
